package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/capability"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

// openDir returns a directory in which all users can write files.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// trackedScript returns a track_script block with a shell command, and a use of it without an effect on the state.
func trackedScript(name, user, command string) (block, use string) {
	return fmt.Sprintf(`
track_script %q {
  command  = [%q]
  shell    = true
  user     = %q
  interval = "200ms"
  timeout  = "150ms"
}
`, name, command, user), fmt.Sprintf("  track %q { weight = 1 }\n", name)
}

// withTracks returns the gateway's configuration with track blocks.
func withTracks(blocks, uses string) string {
	return blocks + strings.Replace(gateway, "virtual_router_id", uses+"  virtual_router_id", 1)
}

// awaitFile waits for a file written by a script.
func awaitFile(t *testing.T, path string) string {
	t.Helper()
	var text []byte
	eventually(t, "a script has written "+path, func() bool {
		var err error
		text, err = os.ReadFile(path)
		return err == nil && strings.HasSuffix(string(text), "done\n")
	})
	return string(text)
}

// TestHostScriptsHaveTheirUsersPrivileges checks the privileges of scripts and of the director in /proc.
func TestHostScriptsHaveTheirUsersPrivileges(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newPlace(t)
	dir := openDir(t)
	report := func(name string) string {
		return fmt.Sprintf("{ id -u; id -G; grep -e ^CapPrm -e ^CapEff -e ^NoNewPrivs /proc/self/status; echo done; } >%s/%s", dir, name)
	}
	nobody, use1 := trackedScript("nobody", "nobody", report("nobody"))
	root, use2 := trackedScript("root", "root", report("root"))
	p.configure(withTracks(nobody+root, use1+use2))
	d := p.start("sh", "-c", `exec "$@" --script-capabilities net_raw,CAP_CHOWN`, "sh")
	d.awaitStatus("master", isMaster)

	more := capability.Of(unix.CAP_NET_RAW, unix.CAP_CHOWN)
	sets := func(permitted, effective capability.Set) string {
		return fmt.Sprintf("CapPrm:\t%016x\nCapEff:\t%016x\nNoNewPrivs:\t1\n", uint64(permitted), uint64(effective))
	}
	if got, want := awaitFile(t, dir+"/nobody"), "65534\n65534\n"+sets(0, 0)+"done\n"; got != want {
		t.Errorf("nobody's script:\n%s\nwant\n%s", got, want)
	}
	all := supervisor.DirectorCapabilities | more
	if got, want := awaitFile(t, dir+"/root"), sets(all, all)+"done\n"; !strings.HasPrefix(got, "0\n") || !strings.HasSuffix(got, want) {
		t.Errorf("root's script:\n%s\nwant\n%s", got, want)
	}
	status := readProc(t, d.worker("director"), "status")
	for _, line := range strings.Split(strings.TrimSpace(sets(all, supervisor.DirectorCapabilities&^supervisor.ScriptCapabilities)), "\n") {
		if !strings.Contains(status, line+"\n") {
			t.Errorf("director: %q is missing in its status", line)
		}
	}
	if looked := p.asked("doctor", "-c", p.path("lvs-ha.hcl")); strings.Contains(looked.stdout, "unnecessary privileges") {
		t.Errorf("doctor finds fault with what --script-capabilities allows:\n%s", looked.stdout)
	}
}

// hostile are commands that must not affect anything else. $1 is a file for process IDs.
var hostile = []string{
	"echo $$ >>$1; exec yes",
	"trap '' TERM; echo $$ >>$1; while :; do sleep 1000; done",
	"echo $$ >>$1; (trap '' TERM; sleep 1000) & sleep 1000 & echo $! >>$1; wait",
	"sleep 1000 & echo $! >>$1; exit 1",
	"sleep 1000 >/dev/null 2>&1 & echo $! >>$1; head -c 100000000 /dev/zero; exit 1",
}

// TestHostHostileScripts runs a hundred scripts that hang, fork and print gigabytes. They must not cause a failover at an advert
// interval of 10 ms or use much memory, and no process may be left in the end. If the hypervisor takes the CPU away for longer than
// a few adverts, a failover is correct: they are tried again.
func TestHostHostileScripts(t *testing.T) {
	lab.Need(t, lab.Host)
	for attempt := 1; runHostileScripts(t); attempt++ {
		if attempt == 3 {
			t.Fatal("the backup took over in the third attempt too")
		}
	}
}

// runHostileScripts reports whether the backup took over.
func runHostileScripts(t *testing.T) (failover bool) {
	t.Helper()
	places := newPlaces(t, 2)
	dir := openDir(t)
	pids := dir + "/pids"
	if err := errors.Join(os.WriteFile(pids, nil, 0o600), os.Chmod(pids, 0o666)); err != nil {
		t.Fatal(err)
	}
	var blocks, uses strings.Builder
	for i := range 100 {
		block, use := trackedScript(fmt.Sprintf("s%d", i), "nobody", strings.ReplaceAll(hostile[i%len(hostile)], "$1", pids))
		blocks.WriteString(block)
		uses.WriteString(use)
	}
	fast := strings.Replace(gateway, "100ms", "10ms", 1)
	if fast == gateway {
		t.Fatalf("the gateway does not advertise every 100 ms:\n%s", gateway)
	}
	places[0].configure(fast)
	places[1].configure(strings.Replace(fast, "150", "100", 1))
	first := places[0].start()
	first.awaitStatus("master", isMaster)
	second := places[1].start()
	second.awaitStatus("backup", func(s api.Status) bool { return len(s.VRRP) == 1 && s.VRRP[0].State == "BACKUP" })

	director := first.worker("director") // before the scripts take the CPU from programs such as pgrep
	places[0].configure(blocks.String() + strings.Replace(fast, "virtual_router_id", uses.String()+"  virtual_router_id", 1))
	places[0].wantAnswer(places[0].asked("reload"), 0)
	var most int
	var started []string
	for began := time.Now(); time.Since(began) < 5*time.Second || len(started) < 100 && time.Since(began) < patience; unix.Poll(nil, 100) {
		raw, err := os.ReadFile(pids)
		if err != nil {
			t.Fatal(err)
		}
		started = strings.Fields(string(raw))
		for line := range strings.Lines(readProc(t, director, "status")) {
			if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, err := strconv.Atoi(strings.Fields(kib)[0])
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, n)
			}
		}
	}
	t.Logf("%d processes, the director had at most %d KiB", len(started), most)
	if most > 100<<10 {
		t.Errorf("the director had %d KiB", most)
	}
	if len(started) < 100 {
		t.Errorf("only %d processes were started", len(started))
	}
	if log := second.stderr.text(); strings.Contains(log, "to=MASTER") {
		t.Logf("the backup took over:\n%s", log)
		failover = true
	}
	first.awaitStatus("master still", isMaster)
	first.stop()
	second.stop()
	eventually(t, "no process of a script is left", func() bool {
		raw, err := os.ReadFile(pids)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Fields(string(raw)) {
			pid, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil && (strings.Contains(string(command), pids) || strings.HasPrefix(string(command), "sleep\x001000") || string(command) == "yes\x00") && syscall.Kill(pid, 0) == nil {
				return false
			}
		}
		return true
	})
	return failover
}
