package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestHostDirectorAndSpeakerKilled kills the master's director and speaker together, and stops the next director while it is
// starting. The next speaker continues without it, so the peer stays backup.
func TestHostDirectorAndSpeakerKilled(t *testing.T) {
	lab.Need(t, lab.Host)
	places := newPlaces(t, 2)
	text := strings.Replace(gateway, "100ms", "300ms", 1) + "director { grace = \"1m\" }\n" // longer than the test takes
	places[0].configure(text)
	places[1].configure(strings.Replace(text, "150", "100", 1))
	first := places[0].start()
	first.awaitStatus("master", isMaster)
	second := places[1].start()
	before := second.awaitStatus("backup", func(s api.Status) bool {
		return len(s.VRRP) == 1 && s.VRRP[0].State == vrrp.Backup && s.VRRP[0].MasterPriority == 150
	}).VRRP[0]

	all := first.processes()
	for _, name := range []string{"director", "speaker"} {
		if err := syscall.Kill(all[name], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	var next int
	eventually(t, "there is another director", func() bool {
		next = first.child("director", all["director"])
		return next != 0
	})
	halt(t, next)
	after := second.awaitStatus("through more adverts than it waits for", func(s api.Status) bool {
		return s.VRRP[0].State != vrrp.Backup || s.VRRP[0].AdvertsReceived >= before.AdvertsReceived+12
	}).VRRP[0]
	if after.Transitions != before.Transitions || !after.Since.Equal(before.Since) {
		t.Errorf("the peer is %s because of %q since %s", after.State, after.Reason, after.Since)
	}
	if err := syscall.Kill(next, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s := first.awaitStatus("master with the next director", isMaster)
	if got := s.VRRP[0]; got.Reason != string(vrrp.ReasonAdopted) || got.Transitions != 1 {
		t.Errorf("the node is master because of %q, after %d transitions", got.Reason, got.Transitions)
	}
}

// TestHostStopWithHungSpeaker stops a master whose speaker hangs: the peer has taken over, so the addresses must not stay.
func TestHostStopWithHungSpeaker(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	halt(t, d.processes()["speaker"])
	d.stop()
	if out := p.run("ip", "-o", "address", "show", "dev", "eth0").stdout; strings.Contains(out, "192.0.2.100/") {
		t.Errorf("the address is left:\n%s", out)
	}
}

// child returns the process ID of a worker other than the given one, or 0.
func (d *daemon) child(name string, other int) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil || pid == other {
				continue
			}
			args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if strings.Contains(string(args), "\x00"+name+"\x00") {
				return pid
			}
		}
	}
	return 0
}
