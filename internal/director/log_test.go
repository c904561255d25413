package director

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// logBook is what was logged since it was last read.
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

// doneSteps are the steps that a log says were done.
func doneSteps(log string) []string {
	var steps []string
	for _, found := range regexp.MustCompile(`(?m) msg=ipvs step="(.*)"$`).FindAllStringSubmatch(log, -1) {
		steps = append(steps, found[1])
	}
	return steps
}

// changed does something in the goroutine that asks the kernel.
func (b *bench) changed(f func()) {
	b.t.Helper()
	if err := b.director.do(b.t.Context(), func() error { f(); return nil }); err != nil {
		b.t.Fatal(err)
	}
}

func TestTheLogTellsOfStepsThatWereDone(t *testing.T) {
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
		// Without a connection nothing is done.
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

func TestADeadServerIsAWarning(t *testing.T) {
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
			if log := b.log.read(); !strings.Contains(log, "level="+tt.level+" msg=health endpoint="+first) {
				t.Errorf("to %s it logs:\n%s", tt.state, log)
			}
		}
	})
}
