package supervisor

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// child waits for a child process of this one that is none of those.
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

func TestAStoppedSpareDoesNotKeepTheWorkerFromBeingReplaced(t *testing.T) {
	s := begin(t, "spared")
	first := s.next().pid
	spare := child(t, first)
	send(t, spare, syscall.SIGSTOP)
	send(t, first, syscall.SIGKILL)
	if second := s.next(); second.pid == spare || !second.restarted {
		t.Errorf("process %d, restarted %t, after %d with the stopped spare %d", second.pid, second.restarted, first, spare)
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestASpareThatEndsOrHangsIsReplaced(t *testing.T) {
	s := begin(t, "spared")
	first := s.next().pid
	spare := child(t, first)
	send(t, spare, syscall.SIGKILL)
	next := child(t, first, spare)
	send(t, next, syscall.SIGSTOP)
	if third := child(t, first, spare, next); third == 0 {
		t.Error("no spare in the place of a stopped one")
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestAWorkerThatHangsBeforeItIsPreparedIsReplaced(t *testing.T) {
	s := begin(t, "unprepared")
	if w := s.next(); !w.restarted {
		t.Error("the first worker is not known to be a restarted one")
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}
