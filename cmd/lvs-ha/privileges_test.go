package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

// processes maps the names of the daemon's processes to their IDs: parent, speaker, director and spare.
func (d *daemon) processes() map[string]int {
	d.t.Helper()
	all := map[string]int{"parent": d.cmd.Process.Pid, "speaker": d.worker("speaker"), "director": d.worker("director")}
	eventually(d.t, "there is a spare speaker", func() bool {
		for _, text := range strings.Fields(d.run("pgrep", "-P", fmt.Sprint(all["parent"]), "-f", "lvs-ha speaker").stdout) {
			if pid, err := strconv.Atoi(text); err == nil && pid != all["speaker"] {
				all["spare"] = pid
			}
		}
		return all["spare"] != 0
	})
	return all
}

// TestHostEachProcessHasOnlyWhatItNeeds checks each process's capabilities in /proc.
func TestHostEachProcessHasOnlyWhatItNeeds(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(`variable "password" {}` + gateway)
	t.Setenv("LVS_HA_TEST_SECRET", "environment")
	if err := os.WriteFile(p.path("open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := p.start("sh", "-c", `exec 9<"$0"; exec "$@" --var password=argument`, p.path("open"))
	d.awaitStatus("master", isMaster)
	all := d.processes()
	d.awaitPrepared(all["spare"]) // before, it still drops what it does not need
	for name, pid := range all {
		want := map[string]supervisor.Capabilities{
			"parent": supervisor.ParentCapabilities, "speaker": supervisor.SpeakerCapabilities,
			"spare": supervisor.SpeakerCapabilities, "director": supervisor.DirectorCapabilities,
		}[name]
		effective := want
		if name == "director" {
			effective &^= supervisor.ScriptCapabilities
		}
		status := readProc(t, pid, "status")
		for _, line := range []string{
			fmt.Sprintf("CapInh:\t%016x", 0), fmt.Sprintf("CapPrm:\t%016x", uint64(want)), fmt.Sprintf("CapEff:\t%016x", uint64(effective)),
			fmt.Sprintf("CapBnd:\t%016x", uint64(supervisor.ParentCapabilities)), fmt.Sprintf("CapAmb:\t%016x", 0), "NoNewPrivs:\t1",
		} {
			if !strings.Contains(status, line+"\n") {
				t.Errorf("%s: %q is missing in its status:\n%s", name, line, status)
			}
		}
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if target, err := os.Readlink(file); err == nil && target == p.path("open") {
				t.Errorf("%s has inherited descriptor %s", name, filepath.Base(file))
			}
		}
		if name != "parent" && strings.Contains(readProc(t, pid, "cmdline"), "password") {
			t.Errorf("the value of a variable is on the %s's command line", name)
		}
		if strings.Contains(name, "sp") && strings.Contains(readProc(t, pid, "environ"), "SECRET") {
			t.Errorf("the %s has inherited the environment", name)
		}
	}

	looked := p.asked("doctor", "-c", p.path("lvs-ha.hcl"), "--var", "password=argument").stdout
	for _, name := range []string{"parent", "speaker", "director"} {
		if want := fmt.Sprintf("%s (process %d) has CAP_", name, d.processes()[name]); !strings.Contains(looked, want) {
			t.Errorf("doctor does not say %q:\n%s", want, looked)
		}
	}

	// Inherited sockets remain usable.
	p.configure(`variable "password" {}` + strings.Replace(gateway, "150", "var.password == \"argument\" ? 120 : 1", 1))
	p.wantAnswer(p.asked("reload"), 0, "reloaded\n")
	d.awaitStatus("priority 120", func(s api.Status) bool { return isMaster(s) && s.VRRP[0].Priority == 120 })
	if err := syscall.Kill(d.worker("director"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.awaitLog("worker ended")
	d.awaitStatus("priority 120 again", func(s api.Status) bool {
		return isMaster(s) && s.VRRP[0].Priority == 120 && s.Config.ReloadError == ""
	})
}

// TestHostWorkersComeFirst checks that both workers' sessions get their nice values, although the kernel accepts only one in
// 100 ms, and that a spare's session gets it when the spare becomes active.
func TestHostWorkersComeFirst(t *testing.T) {
	lab.Need(t, lab.Host)
	if _, err := os.Stat("/proc/self/autogroup"); err != nil {
		t.Skip("this kernel does not schedule by session")
	}
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	await := func(name string, pid, nice int) {
		t.Helper()
		eventually(t, fmt.Sprintf("the %s's session has nice %d", name, nice), func() bool {
			group := readProc(t, pid, "autogroup")
			return strings.HasSuffix(group, fmt.Sprintf(" nice %d\n", nice))
		})
	}
	all := d.processes()
	d.awaitPrepared(all["spare"]) // one that is not prepared does not get its turn
	await("speaker", all["speaker"], speakerNice)
	await("director", all["director"], directorNice)
	await("spare", all["spare"], 0)
	if err := syscall.Kill(all["speaker"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await("new speaker", all["spare"], speakerNice)
}

func readProc(t *testing.T, pid int, file string) string {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// threadsAre reports whether all threads of a process are in a state of proc(5).
func threadsAre(t *testing.T, pid int, state string) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	return err == nil && !slices.ContainsFunc(threads, func(file string) bool {
		raw, err := os.ReadFile(file)
		return err == nil && !strings.Contains(string(raw), "\nState:\t"+state)
	})
}

// halt stops a process, and returns when none of its threads runs: the kernel stops them when the one that gets the signal runs,
// which takes a while on a busy host.
func halt(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no thread runs", func() bool { return threadsAre(t, pid, "T") })
}

// TestHostSocketNameOfAnotherUserIsIgnored matters because any user can bind an abstract socket name, which must not prevent
// lvs-ha from starting.
func TestHostSocketNameOfAnotherUserIsIgnored(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	const nobody = 65534
	for _, name := range []string{"parent", "speaker", "director"} {
		err := p.host.Do(func() error {
			// A socket belongs to the file system user of the thread that creates it.
			unix.SetfsuidRetUid(nobody)
			defer unix.SetfsuidRetUid(0)
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			t.Cleanup(func() { unix.Close(fd) })
			return unix.Bind(fd, &unix.SockaddrUnix{Name: "@lvs-ha/" + name})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	d := p.start()
	d.awaitStatus("master", isMaster)
	d.awaitLog("another user's process holds lvs-ha's socket name")
}

// awaitPrepared waits until a spare has locked its memory and waits for its activation.
func (d *daemon) awaitPrepared(spare int) {
	d.t.Helper()
	eventually(d.t, "the spare is prepared", func() bool {
		return !strings.Contains(readProc(d.t, spare, "status"), "\nVmLck:\t       0 kB") && threadsAre(d.t, spare, "S")
	})
}

// TestHostStoppedSpareDoesNotDelayFailover stops the spare, which then does not respond when it should become the speaker.
func TestHostStoppedSpareDoesNotDelayFailover(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	p.configure(gateway)
	d := p.start()
	d.awaitStatus("master", isMaster)
	all := d.processes()
	d.awaitPrepared(all["spare"]) // one that is not prepared is not activated
	halt(t, all["spare"])
	killed := time.Now()
	if err := syscall.Kill(all["speaker"], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.awaitLog("spare worker did not take over")
	d.awaitStatus("master with a speaker that works", func(s api.Status) bool {
		return isMaster(s) && len(s.Problems) == 0 && s.VRRP[0].Since.After(killed)
	})
}

// TestHostRuntimeDirectoryOfAnotherUserIsRefused matters because that user could create links in the directory.
func TestHostRuntimeDirectoryOfAnotherUserIsRefused(t *testing.T) {
	lab.Need(t, lab.Host)
	const nobody = 65534
	for _, tt := range []struct {
		name  string
		spoil func(p *place) error
	}{
		{"another user's", func(p *place) error {
			return errors.Join(os.Mkdir(p.path("run"), 0o755), os.Chown(p.path("run"), nobody, nobody))
		}},
		{"below another user's", func(p *place) error { return os.Chown(p.dir, nobody, nobody) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			p.configure(gateway)
			if err := tt.spoil(p); err != nil {
				t.Fatal(err)
			}
			p.wantAnswer(p.asked("run", "-c", p.path("lvs-ha.hcl")), 1, "choose another with --runtime-dir")
			if found, err := filepath.Glob(p.path("run/*")); err != nil || len(found) > 0 {
				t.Errorf("it has made %q, %v", found, err)
			}
		})
	}
}
