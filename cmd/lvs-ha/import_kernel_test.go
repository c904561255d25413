package main

import (
	"os"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const shopRules = `-A -t 192.0.2.100:80 -s wrr
-a -t 192.0.2.100:80 -r 10.0.0.1:80 -m -w 1
-a -t 192.0.2.100:80 -r 10.0.0.2:8080 -m -w 3
-A -t 192.0.2.100:443 -s wlc -p 360 -M 255.255.255.0
-a -t 192.0.2.100:443 -r 10.0.0.1:443 -g -w 1
-A -u [2001:db8::1]:53 -s sh -o -b sh-port
-a -u [2001:db8::1]:53 -r 10.0.0.3:53 -i -w 2 --tun-type gue --tun-port 6080 --tun-csum
-A -f 7 -s lblc
-a -f 7 -r 10.0.0.1:0 -g -w 1
`

func TestKernelImportThenPlanIsEmpty(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	if err := os.WriteFile(p.path("rules"), []byte(shopRules), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := func(status int, script string) string {
		t.Helper()
		got := p.run("sh", "-c", "cd "+p.dir+" && "+script)
		if got.status != status {
			t.Fatalf("%s: %+v", script, got)
		}
		return got.stdout
	}
	shell(0, "ipvsadm -R < rules")
	shell(0, "ipvsadm -S -n | lvs-ha import ipvsadm > lvs-ha.hcl")
	shell(0, "lvs-ha validate -c lvs-ha.hcl")
	if named := shell(0, "ipvsadm -S"); !strings.Contains(named, "192.0.2.100:http ") {
		t.Errorf("-S writes no names here:\n%s", named)
	}
	shell(0, "ipvsadm -S | lvs-ha import ipvsadm > named.hcl && cmp named.hcl lvs-ha.hcl")
	p.wantPlan(0, "lvs-ha is not running: assuming that all health checks pass.\n\nNothing to do.\n")

	// The rules from the kernel and those from the configuration are equivalent.
	for _, export := range []string{"lvs-ha export ipvsadm", "lvs-ha export ipvsadm -c lvs-ha.hcl"} {
		shell(0, export+" > exported && ipvsadm -C && ipvsadm -R < exported")
		p.wantPlan(0, "lvs-ha is not running: assuming that all health checks pass.\n\nNothing to do.\n")
	}

	// When lvs-ha starts, it adopts the table without changing it.
	d := p.start()
	d.awaitLog("msg=ready")
	p.wantPlan(0, "Nothing to do.\n")
	if strings.Contains(d.stderr.text(), "step=") {
		t.Errorf("the table was touched:\n%s", d.stderr.text())
	}
}

// TestKernelExportIncludesAttributesMissingInIpvsadm covers attributes that ipvsadm -S omits or prints incorrectly.
func TestKernelExportIncludesAttributesMissingInIpvsadm(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newPlace(t)
	const rules = "-A -u 192.0.2.9:80 -s wlc\n-A -t 192.0.2.100:80 -s sh -b sh-fallback,flag-3\n" +
		"-a -t 192.0.2.100:80 -r 10.0.0.1:80 -m -w 1 -x 100 -y 80\n-a -t 192.0.2.100:80 -r 10.0.0.9:80 -m -w 1\n" +
		"-A -f 4294967295 -6 -s rr\n-a -f 4294967295 -6 -r [2001:db8::1]:0 -g -w 1\n"
	const exported = "-A -t 192.0.2.100:80 -s sh -b sh-fallback,flag-3\n" +
		"-a -t 192.0.2.100:80 -r 10.0.0.1:80 -m -w 1 -x 100 -y 80\n-a -t 192.0.2.100:80 -r 10.0.0.9:80 -m -w 1\n" +
		"-A -u 192.0.2.9:80 -s wlc\n" +
		"-A -f 4294967295 -6 -s rr\n-a -f 4294967295 -6 -r [2001:db8::1]:0 -g -w 1\n"
	if err := os.WriteFile(p.path("rules"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"rules", "exported"} {
		got := p.run("sh", "-c", "cd "+p.dir+" && ipvsadm -C && ipvsadm -R < "+file+" && lvs-ha export ipvsadm | tee exported")
		if got.status != 0 || got.stdout != exported {
			t.Errorf("restored from %s: %+v", file, got)
		}
	}
}
