package director

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// logBook collects log lines since it was last read.
type logBook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logBook) read() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// doneSteps returns the logged steps.
func doneSteps(log string) []string {
	var steps []string
	for _, found := range regexp.MustCompile(`(?m) msg="IPVS (?:table|weight) changed" step="(.*)"$`).FindAllStringSubmatch(log, -1) {
		steps = append(steps, found[1])
	}
	return steps
}

// changed runs a function in the goroutine that accesses the kernel.
func (b *bench) changed(f func()) {
	b.t.Helper()
	if err := b.director.do(b.t.Context(), func() error { f(); return nil }); err != nil {
		b.t.Fatal(err)
	}
}

// TestManyStepsAreCounted checks that the log has the first steps of a comparison, and how many were not logged.
func TestManyStepsAreCounted(t *testing.T) {
	var log logBook
	steps := make([]ipvs.Step, maxSteps+7)
	for i := range steps {
		steps[i].Action = ipvs.AddDestination
	}
	loggedApplier{acceptsAll{}, slog.New(slog.NewTextHandler(&log, nil))}.Execute(t.Context(), steps)
	if text := log.read(); len(doneSteps(text)) != maxSteps || !strings.Contains(text, "more=7") {
		t.Errorf("%d steps logged:\n%s", len(doneSteps(text)), text)
	}
}

// acceptsAll executes steps without any effect.
type acceptsAll struct{ ipvs.Applier }

func (acceptsAll) Execute(_ context.Context, steps []ipvs.Step) []error {
	return make([]error, len(steps))
}

func TestLogContainsExecutedSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.kernel.Fail = func(s ipvs.Step) syscall.Errno {
			if s.Action == ipvs.AddDestination && s.Destination.Address.String() == "192.168.10.2" {
				return syscall.ENOMEM
			}
			return 0
		}
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.log.read()
		b.judge(second, healthcheck.Up)
		log := b.log.read()
		if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "192.168.10.2:80") {
			t.Errorf("of the refusal it says:\n%s", log)
		}
		if got := doneSteps(log); len(got) > 0 {
			t.Errorf("refused, and logged as done: %q", got)
		}
		b.changed(func() { b.kernel.Fail = nil })
		b.repair()
		if got := doneSteps(b.log.read()); len(got) != 1 || !strings.Contains(got[0], "192.168.10.2:80") {
			t.Errorf("logged: %q", got)
		}
		// Without a connection no step is executed.
		b.changed(func() { b.kernel.Lost = syscall.EPIPE })
		b.kernel.Edit(func([]ipvs.ServiceState) []ipvs.ServiceState { return nil })
		b.repair()
		b.changed(func() { b.kernel.Lost = nil })
		b.repair()
		var want []string
		for _, s := range b.kernel.Steps()[len(b.kernel.Steps())-3:] {
			want = append(want, s.String())
		}
		if got := doneSteps(b.log.read()); !slices.Equal(got, want) {
			t.Errorf("logged: %q\nwant %q", got, want)
		}
	})
}

func TestFailedServerIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		for _, tt := range []struct {
			state healthcheck.State
			level string
		}{{healthcheck.Up, "INFO"}, {healthcheck.Down, "WARN"}, {healthcheck.Up, "INFO"}} {
			b.log.read()
			b.judge(first, tt.state)
			if log := b.log.read(); !strings.Contains(log, "level="+tt.level+` msg="health changed" endpoint=`+first) {
				t.Errorf("to %s it logs:\n%s", tt.state, log)
			}
		}
	})
}

func TestRefusedReloadLogsEachFinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.log.read()
		b.cfg, b.cfgErr = nil, fmt.Errorf("loading: %w", &Refused{
			Text: "Error: Bad\n\n  on lvs-ha.hcl line 3:\n   3: x = 1\n", More: 7,
			Findings: []config.Finding{{Summary: "Bad", Detail: "Write good.", File: "lvs-ha.hcl", Line: 3, Count: 2}, {Summary: "Worse"}, {Warning: true, Summary: "Odd"}},
		})
		if _, err := b.director.Reload(t.Context()); err == nil {
			t.Fatal("accepted")
		}
		log := b.log.read()
		if strings.Count(log, "\n") != 3 || strings.Count(log, "level=ERROR") != 3 || strings.Contains(log, `\n`) ||
			!strings.Contains(log, ` file=lvs-ha.hcl line=3 summary=Bad detail="Write good." places=2`) || !strings.Contains(log, "more_findings=7") {
			t.Errorf("it logs:\n%s", log)
		}
		const want = "lvs-ha.hcl:3: Bad. Write good. (2 times); and 8 more errors"
		list, _ := b.director.Events().After("")
		if last := list[len(list)-1]; last.To != "refused" || last.Reason != want || b.status().Config.ReloadError != want {
			t.Errorf("event %+v, status %q, want %q", last, b.status().Config.ReloadError, want)
		}
		s := b.status()
		if list := s.Troubles(); len(list) == 0 || list[0].What != "configuration" || time.Since(list[0].Since) > time.Minute {
			t.Errorf("what is wrong: %+v", list)
		}
	})
}

func TestReloadLogsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		other := b.cfg.Services[0]
		other.Name, other.Port = "old", 81
		b.cfg.Services = append(b.cfg.Services, other)
		b.start(false)
		defer b.stop()
		b.log.read()
		b.cfg = withSync()
		b.cfg.VRRP[0].Priority = 77
		web := &b.cfg.Services[0]
		web.Checks = slices.Clone(web.Checks)
		web.Checks[0].Interval = 5 * time.Second
		web.RealServers[1].Weight = 9
		third := web.RealServers[0]
		third.Address = netip.MustParseAddr("192.168.10.3")
		web.RealServers = append(web.RealServers[1:], third)
		other.Name, other.Port = "new", 82
		b.cfg.Services = append(b.cfg.Services, other)
		b.reload()
		log := b.log.read()
		for _, want := range []string{
			`msg="configuration reloaded" added=2 changed=3 removed=2`,
			`change=changed what="vrrp \"web\"" detail="priority `,
			`change=changed what="virtual_service \"http\"" detail="health_check[0].interval 1s -> 5s"`,
			`change=changed what="real_server 192.168.10.2:80 of virtual_service \"http\"" detail="weight 1 -> 9"`,
			`change=added what="real_server 192.168.10.3:80 of virtual_service \"http\""`,
			`change=removed what="real_server 192.168.10.1:80 of virtual_service \"http\""`,
			`change=added what="virtual_service \"new\""`,
			`change=removed what="virtual_service \"old\""`,
		} {
			if !strings.Contains(log, want) {
				t.Errorf("%q is missing", want)
			}
		}
		if t.Failed() {
			t.Log(log)
		}
		b.reload()
		if log := b.log.read(); !strings.Contains(log, "added=0 changed=0 removed=0") || strings.Contains(log, "change=") {
			t.Errorf("a reload of the same logs:\n%s", log)
		}
		b.cfg = withSync()
		web = &b.cfg.Services[0]
		for n := range 200 {
			third.Port = uint16(n + 1)
			web.RealServers = append(web.RealServers, third)
		}
		b.reload()
		if n := strings.Count(b.log.read(), "change="); n != maxChanges {
			t.Errorf("%d lines of changes, want %d", n, maxChanges)
		}
	})
}
