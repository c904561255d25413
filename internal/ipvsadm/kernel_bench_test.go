package ipvsadm_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// BenchmarkKernelBesideIpvsadm runs ipvsadm and lvs-ha alternately, each as a process, on a table of 10,000 servers. The
// figures are medians. "x-process" is the time of lvs-ha relative to ipvsadm's; "x-work" is the same without process startup,
// which is measured with -v and is slow in user-mode Linux: a page fault takes a tenth of a millisecond there.
func BenchmarkKernelBesideIpvsadm(b *testing.B) {
	lab.Need(b, lab.Kernel)
	self, err := lab.Binary()
	if err != nil {
		b.Fatal(err)
	}
	d := newDirector(b, lab.NewT(b, "ipvsadm"), "director")
	run := func(rules string, name string, args ...string) time.Duration {
		cmd := d.host.Command(b.Context(), name, args...)
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
		run("-C\n"+rules, self, "ipvsadm", "-R")
		for _, c := range []struct {
			name, rules, args string
			rounds            int
		}{{"restore", "-C\n" + rules, "-R", 2}, {"save", "", "-S -n", 15}, {"list", "", "-L -n", 15}, {"stats", "", "-L -n --stats", 15}} {
			b.Run(fmt.Sprintf("%s/%dx%d", c.name, shape.services, shape.servers), func(b *testing.B) {
				args := strings.Fields(c.args)
				var theirs, ours, theirStart, ourStart times
				for b.Loop() {
					for range c.rounds {
						theirStart.add(run("", "ipvsadm", "-v"))
						ourStart.add(run("", self, "ipvsadm", "-v"))
						theirs.add(run(c.rules, "ipvsadm", args...))
						ours.add(run(c.rules, self, append([]string{"ipvsadm"}, args...)...))
					}
				}
				b.ReportMetric(theirs.median()*1000, "ms-ipvsadm")
				b.ReportMetric(ours.median()*1000, "ms-lvs-ha")
				b.ReportMetric(ours.median()/theirs.median(), "x-process")
				b.ReportMetric((ours.median()-ourStart.median())/(theirs.median()-theirStart.median()), "x-work")
			})
		}
	}
}

// times are the durations of several runs.
type times []time.Duration

func (t *times) add(d time.Duration) { *t = append(*t, d) }

// median returns the median in seconds.
func (t times) median() float64 {
	slices.Sort(t)
	return t[len(t)/2].Seconds()
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
