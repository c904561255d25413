package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRoleIsExclusive(t *testing.T) {
	r := role{fmt.Sprintf("test-%d", os.Getpid()), "role"}
	if h, err := r.holder(); h != nil || err != nil {
		t.Fatalf("before anybody holds it: %v, %v", h, err)
	}
	fd, err := r.acquire(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.bind(); !errors.Is(err, errHeld) {
		t.Errorf("taken twice: %v", err)
	}
	h, err := r.holder()
	if err != nil || h == nil || h.pid != os.Getpid() || h.foreign() {
		t.Errorf("its holder is %+v, %v; want this process, %d", h, err, os.Getpid())
	}
	inode, err := r.inode()
	if err != nil {
		t.Fatal(err)
	}
	if uid, err := socketOwner(inode); err != nil || uid != uint32(os.Geteuid()) {
		t.Errorf("its owner is %d, %v; want %d", uid, err, os.Geteuid())
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	if h, err := r.holder(); h != nil || err != nil {
		t.Errorf("after it was given up: %v, %v", h, err)
	}
}

// TestForkedProcessIsNotTheHolder looks for a holder that is starting a worker.
func TestForkedProcessIsNotTheHolder(t *testing.T) {
	for _, parent := range []int{900, 9100} {
		starting := map[int]*holder{parent: {pid: parent, parent: 1}, 1000: {pid: 1000, parent: parent}}
		if got := forebear(starting); got.pid != parent {
			t.Errorf("the holder is process %d, want %d", got.pid, parent)
		}
	}
	if got := forebear(nil); got != nil {
		t.Errorf("the holder is %v, want none", got)
	}
}
