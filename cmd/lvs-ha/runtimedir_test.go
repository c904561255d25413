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
)

// worker returns the process ID of a worker.
func (d *daemon) worker(name string) int {
	d.t.Helper()
	pid := 0
	eventually(d.t, "there is a "+name, func() bool {
		text := d.run("pgrep", "-o", "-P", fmt.Sprint(d.cmd.Process.Pid), "-f", "lvs-ha "+name).stdout
		var err error
		pid, err = strconv.Atoi(strings.TrimSpace(text))
		return err == nil
	})
	return pid
}

// deleteRuntimeDirectory deletes it in one step: lvs-ha, which writes its state there, can make emptying it fail.
func (p *place) deleteRuntimeDirectory() {
	p.t.Helper()
	if err := os.Rename(p.path("run"), filepath.Join(p.t.TempDir(), "deleted")); err != nil {
		p.t.Fatal(err)
	}
}

// TestHostRuntimeDirectoryIsRecreated deletes the runtime directory: its files must be recreated, and a restarted director must
// find the speaker and its state.
func TestHostRuntimeDirectoryIsRecreated(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	before := d.awaitStatus("master", isMaster)
	p.deleteRuntimeDirectory()
	d.awaitStatus("asked again", isMaster)
	d.awaitLog("runtime directory deleted")
	p.wantAnswer(p.asked("run", "-c", p.path("lvs-ha.hcl")), 1, "another lvs-ha is running in this network namespace")
	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	eventually(t, "the state file is recreated", func() bool {
		_, err := os.Stat(p.path("run/director.json"))
		return err == nil
	})

	// The director also finds its speaker if the directory is deleted at the same time.
	for _, name := range []string{"director", "speaker"} {
		p.deleteRuntimeDirectory()
		pid := d.worker(name)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another "+name, func() bool { return syscall.Kill(pid, 0) != nil })
		d.awaitStatus("master with a speaker", func(s api.Status) bool { return isMaster(s) && len(s.Problems) == 0 })
	}
	after := d.awaitStatus("restarted", func(s api.Status) bool { return s.Started.After(before.Started) && isMaster(s) })
	if reason := after.VRRP[0].Reason; reason != "adopted" {
		t.Errorf("the speaker is master for %q", reason)
	}
	left, err := filepath.Glob(p.path("run/*.sock"))
	if err != nil || len(left) != 1 {
		t.Errorf("sockets %q, %v", left, err)
	}
}
