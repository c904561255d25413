package ipvsadm_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// BenchmarkKernelBesideIpvsadm runs ipvsadm and lvs-ha in turn, each as a process, on a table of 10,000 servers.
// "x-process" is how many times as long lvs-ha takes; "x-work" is the same without the start of the process, which is
// measured with -v and which user-mode-linux makes slow: a page fault takes tens of microseconds there.
func BenchmarkKernelBesideIpvsadm(b *testing.B) {
	lab.Need(b, lab.Kernel)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	d := newDirector(b, lab.NewT(b, "ipvsadm"), "director")
	run := func(rules string, name string, args ...string) time.Duration {
		cmd := d.host.Command(b.Context(), name, args...)
		cmd.Env = append(os.Environ(), asIpvsadm+"=1")
		cmd.Stdin = strings.NewReader(rules)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		start := time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s %q: %v: %.200s", name, args, err, &out)
		}
		return time.Since(start)
	}
	for _, shape := range []struct{ services, servers int }{{1000, 10}, {1, 10000}} {
		rules := bigTable(shape.services, shape.servers)
		for _, c := range []struct{ name, rules, args string }{
			{"restore", "-C\n" + rules, "-R"}, {"save", "", "-S -n"}, {"list", "", "-L -n"}, {"stats", "", "-L -n --stats"},
		} {
			b.Run(fmt.Sprintf("%s/%dx%d", c.name, shape.services, shape.servers), func(b *testing.B) {
				args := strings.Fields(c.args)
				var theirs, ours, theirStart, ourStart time.Duration
				for b.Loop() {
					theirStart += run("", "ipvsadm", "-v")
					ourStart += run("", self, "-v")
					theirs += run(c.rules, "ipvsadm", args...)
					ours += run(c.rules, self, args...)
				}
				n := float64(b.N)
				b.ReportMetric(theirs.Seconds()*1000/n, "ms-ipvsadm")
				b.ReportMetric(ours.Seconds()*1000/n, "ms-lvs-ha")
				b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-process")
				b.ReportMetric((ours-ourStart).Seconds()/(theirs-theirStart).Seconds(), "x-work")
			})
		}
	}
}

// bigTable returns the rules of many services with many servers each.
func bigTable(services, servers int) string {
	var rules strings.Builder
	for i := range services {
		fmt.Fprintf(&rules, "-A -t 192.0.2.1:%d -s wlc\n", i+1)
		for j := range servers {
			fmt.Fprintf(&rules, "-a -t 192.0.2.1:%d -r 10.%d.%d.%d:80 -m -w %d\n", i+1, i%200, j>>8, j&0xff, j+1)
		}
	}
	return rules.String()
}
