package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// helperEnv has a Command, which the test binary then runs instead of tests. It prints the Result.
const helperEnv = "LVS_HA_SCRIPT"

func helper(text string) {
	var c Command
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	got := NewRunner(1).Run(context.Background(), c)
	if got.NotRun != nil {
		fmt.Println("not run:", got.NotRun)
		return
	}
	fmt.Printf("%s\n%s", got.Reason(), got.Output)
}

// helperCommand runs a command in another process, started by a program such as setpriv with arguments.
func helperCommand(t *testing.T, c Command, by ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	args := append(by, binary)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), helperEnv+"="+string(text))
	return cmd
}

// nobody returns the identity of the default user.
func nobody(t *testing.T) identity {
	t.Helper()
	id, err := findIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// openFile returns a file that all users can write to.
func openFile(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o666), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestKernelScriptsAreNotProtectedFromOOM runs a script in a process with OOMScoreAdjust=-500, which keeps it. Containers may not set
// such a value, but the test kernel can.
func TestKernelScriptsAreNotProtectedFromOOM(t *testing.T) {
	lab.Need(t, lab.Kernel)
	script := "cat /proc/self/oom_score_adj; sleep 0.1; cat /proc/$PPID/oom_score_adj"
	cmd := helperCommand(t, Command{Args: []string{script}, Shell: true, Timeout: 10 * time.Second},
		"sh", "-c", `echo -500 >/proc/self/oom_score_adj && exec "$@"`, "sh")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "exit status 0\n0\n-500\n" {
		t.Errorf("%v: %q", err, out)
	}
}

const whoAmI = `id -u; id -g; id -G; grep -e ^CapPrm -e ^CapEff -e ^CapInh -e ^CapAmb /proc/self/status`

func TestHostDefaultUserHasNoPrivileges(t *testing.T) {
	lab.Need(t, lab.Host)
	id := nobody(t)
	got := newRunner(t).Run(t.Context(), Command{Args: []string{whoAmI}, Shell: true, Timeout: time.Minute})
	want := fmt.Sprintf("%d\n%d\n%d\n", id.uid, id.gid, id.gid)
	for _, set := range []string{"Inh", "Prm", "Eff", "Amb"} {
		want += fmt.Sprintf("Cap%s:\t%016x\n", set, 0)
	}
	if !got.OK() || string(got.Output) != want {
		t.Errorf("got %s, %q; want %q", got.Reason(), got.Output, want)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 1 {
		t.Errorf("dumpable %d, %v: the next lvs-ha could not look at this process", dumpable, err)
	}

	got = newRunner(t).Run(t.Context(), Command{Args: []string{"id -u; id -g"}, Shell: true, User: "daemon", Group: "4321", Timeout: time.Minute})
	if !got.OK() || string(got.Output) != "1\n4321\n" {
		t.Errorf("got %s, %q", got.Reason(), got.Output)
	}
	got = newRunner(t).Run(t.Context(), Command{Args: []string{"/bin/cat", "/etc/shadow"}, Timeout: time.Minute})
	if got.OK() || got.ExitCode != 1 {
		t.Errorf("the default user can read /etc/shadow: %s", got.Reason())
	}
	private := filepath.Join("/run", filepath.Base(t.TempDir())+"-script")
	if err := os.WriteFile(private, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(private)
	got = newRunner(t).Run(t.Context(), Command{Args: []string{private}, Timeout: time.Minute})
	if got.NotRun == nil || !errors.Is(got.NotRun, unix.EACCES) || !strings.Contains(got.Reason(), DefaultUser) {
		t.Errorf("got %s", got.Reason())
	}
}

// TestHostAnotherUsersProcessesAreKilled kills from a process for which CAP_KILL is permitted but not effective.
func TestHostAnotherUsersProcessesAreKilled(t *testing.T) {
	lab.Need(t, lab.Host)
	pids := openFile(t)
	r := newRunner(t)
	got := r.Run(t.Context(), Command{
		Args:  []string{"trap '' TERM; echo $$ >$1; sleep 1000 & echo $! >>$1; while :; do sleep 1; done", pids},
		Shell: true, Timeout: 3 * time.Second})
	if !got.TimedOut || got.Signal != unix.SIGKILL {
		t.Errorf("got %+v", got)
	}
	awaitGone(t, pids)

	id := nobody(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		done <- func() error {
			path, err := Command{Args: []string{"sleep", "1000"}}.program(id.uid)
			if err != nil {
				return err
			}
			p, err := r.starter.start(t.Context(), Command{Args: []string{"sleep", "1000"}}, id, path)
			if err != nil {
				return err
			}
			lowered, err := capability.OfThread()
			if err != nil {
				return err
			}
			lowered.Effective = 0
			if err := lowered.Apply(); err != nil {
				return err
			}
			if err := unix.Kill(p.pid, 0); !errors.Is(err, unix.EPERM) {
				return fmt.Errorf("without capabilities, kill says %v", err)
			}
			p.signal(unix.SIGKILL)
			if after, err := capability.OfThread(); err != nil || after != lowered {
				return fmt.Errorf("capabilities after a kill: %+v, %v", after, err)
			}
			if got := p.wait(t.Context()); got.Signal != unix.SIGKILL {
				return fmt.Errorf("got %+v", got)
			}
			return nil
		}()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestHostCapabilities checks which capabilities a script needs and gets, if lvs-ha has few of them or runs as another user.
func TestHostCapabilities(t *testing.T) {
	lab.Need(t, lab.Host)
	setpriv := func(args ...string) []string { return append([]string{"setpriv", "--no-new-privs"}, args...) }
	user := func(caps string) []string {
		return setpriv("--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", caps, "--ambient-caps", caps)
	}
	sets := func(permitted capability.Set) string {
		return fmt.Sprintf("CapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapAmb:\t%016x\n", 0, uint64(permitted), uint64(permitted), 0)
	}
	some := needed | capability.Of(unix.CAP_NET_ADMIN)
	for _, tt := range []struct {
		name, user, group string
		by                []string
		want              string
	}{
		{"root, no capability to change the user", "", "", setpriv("--bounding-set", "-setuid,-setgid,-kill"), "requires CAP_KILL CAP_SETGID CAP_SETUID"},
		{"root, cannot kill", "", "", setpriv("--bounding-set", "-kill"), "requires CAP_KILL,"},
		{"root's script", "root", "", setpriv("--clear-groups", "--bounding-set", "-all,+net_admin"), "0\n0\n0\n" + sets(capability.Of(unix.CAP_NET_ADMIN))},
		{"another user's own script", "65534", "65534", user("-all"), "65534\n65534\n65534\n" + sets(0)},
		{"another user's own script, ambient", "65534", "65534", user("+net_admin"), "65534\n65534\n65534\n" + sets(0)},
		{"another user, a third one's script", "daemon", "", user("+net_admin"), "requires CAP_KILL CAP_SETGID CAP_SETUID"},
		{"another user, a third one's script, ambient", "4321", "1234", user("+net_admin,+setuid,+setgid,+kill"), "4321\n1234\n1234\n" + sets(0)},
		{"another user, root's script", "root", "", setpriv("--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all,+net_admin,+setuid,+setgid,+kill",
			"--inh-caps", "+net_admin,+setuid,+setgid,+kill", "--ambient-caps", "+net_admin,+setuid,+setgid,+kill"), "0\n0\n0\n" + sets(some)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := helperCommand(t, Command{Args: []string{whoAmI}, Shell: true, User: tt.user, Group: tt.group, Timeout: time.Minute}, tt.by...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v\n%s\nwant %q", err, out, tt.want)
			}
		})
	}
}

// TestHostScriptsEndWithLvsHa checks that scripts, including those of other users, end when lvs-ha is killed.
func TestHostScriptsEndWithLvsHa(t *testing.T) {
	lab.Need(t, lab.Host)
	pids := openFile(t)
	cmd := helperCommand(t, Command{Args: []string{"echo $$ >$1; exec sleep 1000", pids}, Shell: true, Timeout: time.Hour})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, pids)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	awaitGone(t, pids)
}
