package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// child waits for a child process that is not one of those. It may not have executed its program yet: a stop before that
// would stop this process (vfork(2)).
func child(t *testing.T, none ...int) int {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(roleRetry) {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			t.Fatal(err)
		}
	processes:
		for _, process := range processes {
			pid, err := strconv.Atoi(filepath.Base(process))
			if err != nil {
				continue
			}
			for _, other := range none {
				if pid == other {
					continue processes
				}
			}
			if _, parent, err := commandAndParent(process); err == nil && parent == os.Getpid() {
				return pid
			}
		}
	}
	t.Fatal("there is no other child process")
	return 0
}

// send sends a signal to a process of the test.
func send(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("%v to process %d: %v", s, pid, err)
	}
}

// stop stops a process, and returns when all of its threads have stopped.
func stop(t *testing.T, pid int) {
	t.Helper()
	send(t, pid, syscall.SIGSTOP)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(roleRetry) {
		states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(states, func(file string) bool {
			raw, err := os.ReadFile(file)
			return err == nil && !strings.Contains(string(raw), "\nState:\tT")
		}) {
			return
		}
	}
	t.Fatalf("process %d does not stop", pid)
}

func TestStoppedSpareDoesNotPreventReplacement(t *testing.T) {
	s := begin(t, "spared")
	first := s.next().pid
	spare := child(t, first)
	s.awaitPrepared(spare)
	stop(t, spare)
	send(t, first, syscall.SIGKILL)
	if second := s.next(); second.pid == spare || !second.restarted {
		t.Errorf("process %d, restarted %t, after %d with the stopped spare %d", second.pid, second.restarted, first, spare)
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestSpareThatEndsOrHangsIsReplaced(t *testing.T) {
	s := begin(t, "spared")
	first := s.next().pid
	spare := child(t, first)
	send(t, spare, syscall.SIGKILL)
	next := child(t, first, spare)
	s.awaitPrepared(next)
	stop(t, next)
	if third := child(t, first, spare, next); third == 0 {
		t.Error("no spare in the place of a stopped one")
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestFailedSpareStartIsRetried(t *testing.T) {
	said := make(chan string, 64)
	s := newStory(t)
	parent := newTestParent("spared", s.socket, t.Name(), slog.New(slog.NewTextHandler(lineWriter(said), nil)))
	parent.Binary = filepath.Join(t.TempDir(), "program")
	must(t, os.Symlink(os.Args[0], parent.Binary))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { s.ended <- parent.Run(ctx) }()
	first := s.next().pid
	spare := child(t, first)
	must(t, os.Remove(parent.Binary))
	send(t, spare, syscall.SIGKILL)
	for line := range said {
		if strings.Contains(line, "no spare worker") && strings.Contains(line, "no such file") {
			break
		}
	}
	must(t, os.Symlink(os.Args[0], parent.Binary))
	child(t, first, spare)
	cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestWorkerThatHangsWhilePreparingIsReplaced(t *testing.T) {
	s := begin(t, "unprepared")
	if w := s.next(); !w.restarted {
		t.Error("the first worker is not known to be a restarted one")
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}
