package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
	"golang.org/x/sys/unix"
)

// story runs explain -o json.
func (p *place) story(args ...string) explained {
	p.t.Helper()
	got := p.lvsha(append([]string{"explain", "--runtime-dir", p.path("run"), "-o", "json"}, args...)...)
	var s explained
	if err := json.Unmarshal([]byte(got.stdout), &s); got.status != 0 || err != nil {
		p.t.Fatalf("explain %v: exit status %d, %v\n%s%s", args, got.status, err, got.stdout, got.stderr)
	}
	return s
}

// TestHostExplain explains a failover, a crash of a whole node, and a stop, from the recordings of both nodes, also when
// nothing of lvs-ha runs any more.
func TestHostExplain(t *testing.T) {
	lab.Need(t, lab.Host)
	memory := t.TempDir() // where a recording is a file; mounted before the hosts have mounts of their own
	if err := unix.Mount("tmpfs", memory, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(memory, unix.MNT_DETACH) })
	places := newPlaces(t, 2)
	for i, p := range places {
		p.dir = filepath.Join(memory, strconv.Itoa(i))
		if err := os.Mkdir(p.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	places[0].configure(gateway)
	places[1].configure(strings.Replace(gateway, "150", "100", 1))
	first := places[0].start()
	first.awaitStatus("master", isMaster)
	second := places[1].start()
	second.awaitStatus("backup", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].MasterPriority == 150 })

	if got := first.lvsha("failover", "--runtime-dir", first.path("run"), "gateway"); got.status != 0 {
		t.Fatalf("failover: %s%s", got.stdout, got.stderr)
	}
	second.awaitStatus("master", isMaster)
	first.awaitStatus("backup", func(s api.Status) bool { return s.VRRP[0].State == vrrp.Backup })
	if s := first.story("gateway"); s.Cause != explain.Failover || s.Reason != vrrp.ReasonSuccessorHeard || s.To != vrrp.Backup {
		t.Errorf("the failover is explained as %+v", s)
	}
	var served explain.Story
	if got := first.run("curl", "-sf", "--unix-socket", first.path("run/api.sock"), "http://lvs-ha/v1/explain?instance=gateway"); json.Unmarshal([]byte(got.stdout), &served) != nil ||
		served.Cause != explain.Failover || !slices.ContainsFunc(served.Seen, func(f explain.Fact) bool { return f.Code == "event-failover" }) {
		t.Errorf("the API explains %s", got.stdout)
	}
	saved := first.path("saved")
	first.wantAnswer(first.lvsha("explain", "--runtime-dir", first.path("run"), "--save", saved), 0)
	if s := second.story("--peer", saved); s.Cause != explain.MasterLeft || s.Peer == nil || s.Peer.Cause != explain.PeerChanged || len(s.Done) == 0 {
		t.Errorf("the peer explains the failover as %+v", s)
	}
	if got := first.lvsha("explain", "--runtime-dir", first.path("run"), "gateway"); !strings.Contains(got.stdout, "cause: operator-failover: ") {
		t.Errorf("explain prints\n%s%s", got.stdout, got.stderr)
	}

	// A crash of the second node: nothing of it runs, and its recording tells that it was master to the end.
	all := second.processes()
	for _, pid := range append([]int{second.cmd.Process.Pid}, all["director"], all["speaker"]) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	first.awaitStatus("master", isMaster)
	crashed := second.path("crashed")
	eventually(t, "the recording is saved", func() bool {
		return second.lvsha("explain", "--runtime-dir", second.path("run"), "--save", crashed).status == 0
	})
	if s := second.story(); s.To != vrrp.Master || s.Cause != explain.MasterLeft {
		t.Errorf("after the crash, the second node explains %+v", s)
	}
	if s := first.story("--peer", crashed); s.Cause != explain.MasterSilent || s.Peer == nil || s.Peer.Cause != explain.PeerCrashed {
		t.Errorf("the crash is explained as %+v, %+v", s, s.Peer)
	}
	first.stop()
	if s := first.story(); s.Cause != explain.Stopped {
		t.Errorf("the stop is explained as %+v", s)
	}
	for _, p := range places {
		p.wantAnswer(p.lvsha("explain", "--runtime-dir", p.path("run"), "--replay"), 0, "gateway: ", "the same")
	}
}

// TestHostExplainFromMemory explains a transition of a daemon whose runtime directory is on a disk, if that of the test is.
func TestHostExplainFromMemory(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	if s := d.story(); s.Cause != explain.NoMaster {
		t.Errorf("explained as %+v", s)
	}
}

// TestHostRuntimeDirectoryFull checks that a full file system of the runtime directory, where nothing can be recorded any more, does
// not end the speaker.
func TestHostRuntimeDirectoryFull(t *testing.T) {
	lab.Need(t, lab.Host)
	memory := t.TempDir()
	if err := unix.Mount("tmpfs", memory, "tmpfs", 0, "mode=0755,size=128k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(memory, unix.MNT_DETACH) })
	p := newPlace(t)
	p.dir = memory
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	more := gateway
	for id := 11; id < 20; id++ { // each needs room
		more += strings.NewReplacer(`"gateway"`, fmt.Sprintf("%q", fmt.Sprint("g", id)), "= 10\n", fmt.Sprintf("= %d\n", id), "0.2.100/24", fmt.Sprintf("0.2.%d/24", 100+id)).Replace(gateway)
	}
	p.configure(more)
	speaker := d.processes()["speaker"]
	if err := os.WriteFile(p.path("fill"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the file system: %v", err)
	}
	p.wantAnswer(p.lvsha("reload", "--runtime-dir", p.path("run")), 0)
	d.awaitStatus("ten masters", func(s api.Status) bool {
		return len(s.VRRP) == 10 && !slices.ContainsFunc(s.VRRP, func(v api.Instance) bool { return v.State != vrrp.Master })
	})
	d.awaitLog("flight recorder paused")
	if now := d.processes()["speaker"]; now != speaker {
		t.Errorf("the speaker %d was replaced by %d", speaker, now)
	}
}
