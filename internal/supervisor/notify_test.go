package supervisor

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is systemd's side of the notification socket.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, conn}
}

// await returns the next message that matches, and the number of skipped ones.
func (m *manager) await(pattern string) (message string, others int) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(hangLimit))
	want := regexp.MustCompile(pattern)
	for buf := make([]byte, 4096); ; others++ {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("no notification matches %s after %d others: %v", pattern, others, err)
		}
		if want.Match(buf[:n]) {
			return string(buf[:n]), others
		}
	}
}

func TestSystemdIsNotifiedOfStartReloadAndStop(t *testing.T) {
	m := newManager(t)
	s := begin(t, "worker")
	s.next()
	if message, _ := m.await(`^READY=1\n`); !strings.Contains(message, "\nSTATUS=") {
		t.Errorf("no status in %q", message)
	}
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	// sd_notify(3): RELOADING=1 with a monotonic time not before the signal.
	m.await(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+\n`)
	m.await(`^READY=1\n`)
	s.cancel()
	m.await(`^STOPPING=1`)
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func TestTheWatchdogIsFedWhileAllWorkersAreReady(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "200000")
	s := newStory(t)
	s.run(t, "slow", slog.New(slog.DiscardHandler))
	w := s.next()
	m.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := m.conn.Read(make([]byte, 64)); err == nil {
		t.Errorf("a message of %d bytes before the worker is ready", n)
	}
	if _, err := w.conn.Write([]byte("go on")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.await(`^WATCHDOG=1$`)
	}
	s.cancel()
	if err := s.end(); err != nil {
		t.Error(err)
	}
}
