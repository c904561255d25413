package supervisor

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// send sends a signal to a process of the test.
func send(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("%v to process %d: %v", s, pid, err)
	}
}

// stop stops a child process, and returns when all of its threads have stopped. The process must have executed its
// program: before that, this process would stop too (vfork(2)).
func stop(t *testing.T, pid int) {
	t.Helper()
	send(t, pid, syscall.SIGSTOP)
	for {
		switch err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err {
		case nil:
			return
		case unix.EINTR:
		default:
			t.Fatalf("waiting until process %d has stopped: %v", pid, err)
		}
	}
}

func TestStoppedSpareDoesNotPreventReplacement(t *testing.T) {
	s := begin(t, "spared")
	first := s.next().pid
	spare := s.awaitPrepared(first)
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
	spare := s.awaitPrepared(first)
	send(t, spare, syscall.SIGKILL)
	next := s.awaitPrepared(first, spare)
	stop(t, next)
	s.awaitPrepared(first, spare, next)
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestFailedSpareStartIsRetried(t *testing.T) {
	said := make(chan string, 64)
	s := newStory(t)
	parent := newTestParent("spared", s.socket, t.Name(), slog.New(slog.NewTextHandler(lineWriter(said), nil)))
	parent.program = filepath.Join(t.TempDir(), "program")
	must(t, os.Symlink(os.Args[0], parent.program))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { s.ended <- parent.Run(ctx) }()
	first := s.next().pid
	spare := s.awaitPrepared(first)
	must(t, os.Remove(parent.program))
	send(t, spare, syscall.SIGKILL)
	for line := range said {
		if strings.Contains(line, "no spare worker") && strings.Contains(line, "no such file") {
			break
		}
	}
	must(t, os.Symlink(os.Args[0], parent.program))
	s.awaitPrepared(first, spare)
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
