package supervisor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// parentTestEnv makes the test binary act as a parent.
const parentTestEnv = "LVS_HA_SUPERVISOR_TEST_PARENT"

func parentProcess(role, socket, program string) int {
	os.Unsetenv(parentTestEnv)
	if err := newTestParent(role, socket, program, slog.New(slog.DiscardHandler)).Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// beginElsewhere starts the parent as a separate process, which can be killed.
func beginElsewhere(t *testing.T, role string) (*story, *exec.Cmd) {
	t.Helper()
	s := newStory(t)
	cmd := exec.Command(os.Args[0], role, s.socket, t.Name())
	cmd.Env = append(os.Environ(), parentTestEnv+"=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return s, cmd
}

func TestSecondParentIsRefused(t *testing.T) {
	s, first := beginElsewhere(t, "worker")
	w := s.next()
	err := newTestParent("worker", s.socket, t.Name(), slog.New(slog.DiscardHandler)).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d:", first.Process.Pid)) {
		t.Errorf("a second parent beside process %d: %v", first.Process.Pid, err)
	}
	send(t, w.pid, 0)
	send(t, first.Process.Pid, syscall.SIGTERM)
	first.Wait()
}

func TestNextParentReplacesOrphanedWorkers(t *testing.T) {
	for _, how := range []struct {
		name   string
		before func(pid int)
	}{
		{"working", func(int) {}},
		{"stopped", func(pid int) { send(t, pid, syscall.SIGSTOP) }},
	} {
		t.Run(how.name, func(t *testing.T) {
			s, first := beginElsewhere(t, "worker")
			old := s.next()
			how.before(old.pid)
			first.Process.Kill()
			first.Wait()
			send(t, old.pid, 0)

			s.run(t, "worker", slog.New(slog.DiscardHandler))
			successor := s.next()
			if !successor.restarted {
				t.Error("the next worker does not know that it takes over")
			}
			// It must be killed: a worker that stops in order would remove what the next one has taken over.
			// A stopped one also gets SIGHUP when its parent dies (setpgid(2)).
			if said, err := io.ReadAll(old.lines); err != nil || strings.Contains(string(said), syscall.SIGTERM.String()) {
				t.Errorf("the old worker said %q, %v", said, err)
			}
			s.cancel()
			if err := s.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOrphanedWorkerStops(t *testing.T) {
	s, first := beginElsewhere(t, "worker")
	w := s.next()
	first.Process.Kill()
	first.Wait()
	if line, err := w.lines.ReadString('\n'); strings.TrimSpace(line) != syscall.SIGTERM.String() {
		t.Errorf("the worker said %q, %v", line, err)
	}
}
