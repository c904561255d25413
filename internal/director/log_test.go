package director

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// loggedSteps are the steps that the log says were done, since it was last asked.
func (b *bench) loggedSteps() []string {
	var steps []string
	for _, found := range regexp.MustCompile(`(?m) msg=ipvs step="(.*)"$`).FindAllStringSubmatch(b.log.String(), -1) {
		steps = append(steps, found[1])
	}
	b.log.Reset()
	return steps
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
		b.loggedSteps()
		b.judge(second, healthcheck.Up)
		if log := b.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "192.168.10.2:80") {
			t.Errorf("of the refusal it says:\n%s", log)
		}
		if got := b.loggedSteps(); len(got) > 0 {
			t.Errorf("refused, and logged as done: %q", got)
		}
		b.kernel.Fail = nil
		b.repair()
		if got := b.loggedSteps(); len(got) != 1 || !strings.Contains(got[0], "192.168.10.2:80") {
			t.Errorf("logged: %q", got)
		}
		// Without a connection nothing is done.
		b.kernel.Lost = syscall.EPIPE
		b.kernel.Edit(func(table []ipvs.ServiceState) []ipvs.ServiceState { return nil })
		b.repair()
		b.kernel.Lost = nil
		b.repair()
		want := []string{}
		for _, s := range b.kernel.Steps()[len(b.kernel.Steps())-3:] {
			want = append(want, s.String())
		}
		if got := b.loggedSteps(); !slices.Equal(got, want) {
			t.Errorf("logged: %q\nwant %q", got, want)
		}
	})
}
