package notify

import (
	"bufio"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func message(state string) Message {
	return Message{Transition: vrrp.Transition{Instance: "web", Priority: 100}, State: state}
}

func TestFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	f := newFIFO(config.NotifyFIFO{Path: path, Mode: 0o640})
	defer f.close()
	deliver := func(state string) error { return f.deliver(t.Context(), []Message{message(state)}) }
	if err := deliver(stateBackup); err != nil { // there is no reader yet
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeNamedPipe|0o640 {
		t.Fatalf("%v, %v", info, err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := deliver(stateMaster); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(reader)
	for _, want := range []string{"INSTANCE \"web\" BACKUP 100\n", "INSTANCE \"web\" MASTER 100\n"} {
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
	}

	if err := os.Remove(path); err != nil { // and again
		t.Fatal(err)
	}
	if err := deliver(stateFault); err != nil {
		t.Fatal(err)
	}
	again, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := bufio.NewReader(again).ReadString('\n'); got != "INSTANCE \"web\" FAULT 100\n" {
		t.Errorf("read %q, %v", got, err)
	}

	full := 0
	for range 1 << 16 {
		if err := deliver(stateMaster); err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Fatal(err)
			}
			full++
		}
	}
	if full == 0 {
		t.Error("a full FIFO is no error")
	}
}

// TestUnreadLinesAreNotDelivered checks the counters of a FIFO without a reader, and of one whose reader is slow.
func TestUnreadLinesAreNotDelivered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	q := newQueue("x", newFIFO(config.NotifyFIFO{Path: path, Mode: 0o600}), slog.New(slog.DiscardHandler), func() {})
	defer q.receiver.close()
	send := func(n int) {
		for range n {
			q.put(message(stateMaster))
			q.begin()
			q.deliver(t.Context())
		}
	}
	want := func(delivered uint64, waiting int) {
		t.Helper()
		if s := q.read(); s.Delivered != delivered || s.Waiting != waiting {
			t.Errorf("%+v, want %d delivered and %d waiting", s, delivered, waiting)
		}
	}
	want(0, 0)
	send(3)
	want(0, 3)
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	line := make([]byte, len(message(stateMaster).line()))
	read := func(size int) {
		t.Helper()
		if _, err := io.ReadFull(reader, line[:size]); err != nil {
			t.Fatal(err)
		}
	}
	read(len(line))
	want(1, 2)
	read(5)
	want(2, 1)
	send(2)
	want(2, 3)
	read(len(line) - 5)
	read(len(line))
	read(len(line))
	want(4, 1)
	read(len(line))
	want(5, 0)
}

func TestFIFOPathIsNotAFIFO(t *testing.T) {
	dir := t.TempDir()
	file, link, target := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(target, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir, filepath.Join(dir, "no", "such")} {
		f := newFIFO(config.NotifyFIFO{Path: path, Mode: 0o600})
		if err := f.deliver(t.Context(), []Message{message(stateMaster)}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(file); len(text) > 0 || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
}

// TestFIFOsAreClosed checks that a reload that changes or removes a FIFO closes the old one.
func TestFIFOsAreClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	open := func() (n int) {
		all, _ := filepath.Glob("/proc/self/fd/*")
		for _, fd := range all {
			if to, _ := os.Readlink(fd); to == path {
				n++
			}
		}
		return n
	}
	q := newQueue("x", nil, slog.New(slog.DiscardHandler), func() {})
	for mode := range uint32(5) {
		q.receiver = newFIFO(config.NotifyFIFO{Path: path, Mode: 0o600 + mode})
		q.put(message(stateMaster))
		q.begin()
		q.deliver(t.Context())
	}
	if now := open(); now != 1 || q.stats.Delivered != 5 {
		t.Errorf("open %d times after reloads: %+v", now, q.stats)
	}
	q.closed = true
	q.run(t.Context())
	if now := open(); now != 0 {
		t.Errorf("open %d times after the removal", now)
	}
}
