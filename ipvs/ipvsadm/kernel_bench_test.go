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
// "x-ipvsadm" is how many times as long lvs-ha takes.
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
				var theirs, ours time.Duration
				for b.Loop() {
					theirs += run(c.rules, "ipvsadm", args...)
					ours += run(c.rules, self, args...)
				}
				b.ReportMetric(theirs.Seconds()/float64(b.N), "s-ipvsadm/op")
				b.ReportMetric(ours.Seconds()/float64(b.N), "s-lvs-ha/op")
				b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-ipvsadm")
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
