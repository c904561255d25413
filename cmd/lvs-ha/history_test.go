package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostNoTransitionIsLost takes an interface down and up while the director is not running, then kills the speaker. The
// history and a FIFO must have all transitions in order, each beginning in the state in which the previous one ended.
func TestHostNoTransitionIsLost(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	r := newRecorder(p)
	p.configure(gateway + fmt.Sprintf("notify_fifo %q {}\n", p.path("fifo")))
	d := p.start()
	r.listen()
	d.awaitStatus("master", isMaster)
	all := d.processes()
	halt(t, all["director"])
	holds := func() bool {
		return strings.Contains(p.run("ip", "-o", "address", "show", "eth0").stdout, "192.0.2.100/")
	}
	const flaps = 4
	for range flaps {
		p.run("ip", "link", "set", "eth0", "down")
		eventually(t, "it gives up the address", func() bool { return !holds() })
		p.run("ip", "link", "set", "eth0", "up")
		eventually(t, "it is master again", holds)
	}
	if err := syscall.Kill(all["director"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	isComplete := func(s api.Status) bool {
		return isMaster(s) && count(s, vrrp.Master) == 1+flaps && count(s, vrrp.Initialize) == flaps
	}
	s := d.awaitStatus("complete", isComplete)
	wantChain(t, s.VRRP[0].History, 1)

	if err := syscall.Kill(d.processes()["speaker"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s = d.awaitStatus("master by another speaker", func(s api.Status) bool { return isMaster(s) && count(s, vrrp.Master) == 2+flaps })
	wantChain(t, s.VRRP[0].History, 2)
	got := d.asked("status", "gateway")
	d.wantAnswer(got, 0, "interface-down", "master-down-timer", "adopted")
	d.stop()
	r.hears(`INSTANCE "gateway" STOP 150`)
	var want []string
	for _, state := range slices.Concat([]string{"BACKUP", "MASTER"}, slices.Repeat([]string{"FAULT", "BACKUP", "MASTER"}, flaps), []string{"STOP"}) {
		want = append(want, fmt.Sprintf("INSTANCE \"gateway\" %s 150", state))
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.TrimSpace(r.fifo.text())); diff != "" {
		t.Errorf("the FIFO differs (-want +got):\n%s", diff)
	}
}

// count returns the number of transitions to a state in the history.
func count(s api.Status, to vrrp.State) (n int) {
	for _, m := range s.VRRP[0].History {
		if m.To == to && m.Lost == 0 {
			n++
		}
	}
	return n
}

// wantChain checks that each transition begins in the state in which the previous one ended, except at the start of one of the
// given number of speakers.
func wantChain(t *testing.T, list []api.Transition, speakers int) {
	t.Helper()
	state := vrrp.State("")
	for i, m := range list {
		if m.From == vrrp.Initialize && state != vrrp.Initialize {
			speakers--
			state = vrrp.Initialize
		}
		if m.From != state || m.Lost != 0 || m.Sequence != uint64(i+1) || i > 0 && m.Time.Before(list[i-1].Time) {
			t.Fatalf("transition %d does not follow from the one before it: %+v", i, list[max(0, i-1):i+1])
		}
		state = m.To
	}
	if speakers != 0 {
		t.Errorf("%d speakers too few: %+v", speakers, slices.Clone(list))
	}
}
