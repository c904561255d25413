package supervisor

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// storing is a worker that listens on a socket which it stores, or that its predecessor stored. It answers no connection, but its
// first process reports the address.
func storing(link *ParentLink, report net.Conn) {
	if !link.Restarted {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return
		}
		raw, _ := l.(*net.TCPListener).SyscallConn()
		raw.Control(func(fd uintptr) {
			for _, name := range []string{"dropped", "replaced", "replaced", strings.Repeat("too long", maxStoredName)} {
				link.Store(name, int(fd))
			}
			for i := range 2 * maxStored {
				link.Store(fmt.Sprint("many", i), int(fd))
			}
			link.Drop("dropped")
			link.Store("last", int(fd))
		})
		fmt.Fprintln(report, l.Addr())
		return
	}
	_, replaced := link.Stored["replaced"]
	_, dropped := link.Stored["dropped"]
	fd, last := link.Stored["last"]
	listens, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	fmt.Fprintln(report, len(link.Stored), replaced, dropped, last, listens)
}

// TestStoredFilesOutliveTheWorker kills a worker that listens: nobody's connection is refused. When the parent stops, it is.
func TestStoredFilesOutliveTheWorker(t *testing.T) {
	s := begin(t, "storing")
	first := s.next()
	line, err := first.lines.ReadString('\n')
	must(t, err)
	address := strings.TrimSpace(line)
	connect := func() error {
		conn, err := net.DialTimeout("tcp", address, hangLimit)
		if err == nil {
			conn.Close()
		}
		return err
	}
	// A spawned process could inherit a descriptor for a moment, so that the first end proves nothing.
	for pid := first.pid; ; {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		next := make(chan report, 1)
		go func() { next <- s.next() }()
		var now report
		for now.pid == 0 {
			must(t, connect())
			select {
			case now = <-next:
			case <-time.After(time.Millisecond):
			}
		}
		line, err := now.lines.ReadString('\n')
		if want := fmt.Sprintln(maxStored, true, false, true, 1); err != nil || line != want {
			t.Errorf("the next process found %q, %v, want %q", line, err, want)
		}
		if pid != first.pid {
			break
		}
		pid = now.pid
	}
	s.cancel()
	must(t, s.end())
	if err := connect(); err == nil {
		t.Error("the socket of a worker that was stopped still listens")
	}
}

// TestStoredFilesInAHandover: another version finds them, and gets no more than it may keep.
func TestStoredFilesInAHandover(t *testing.T) {
	pair := func() (fd int) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		unix.Close(fds[1])
		return fds[0]
	}
	newParent := func() *Parent {
		p := newTestParent("storing", "", t.Name(), slog.New(slog.DiscardHandler))
		p.stored = map[string]*store{"storing": {}}
		p.opened, p.signals = make(chan struct{}), make(chan os.Signal, 1)
		t.Cleanup(func() { signal.Stop(p.signals) })
		return p
	}
	p := newParent()
	p.stored["storing"].put("one", pair())
	var h Handover
	must(t, p.pass(&h, func() error {
		if len(h.Stored) != 1 || h.Stored[0].Name != "one" || len(h.descriptors()) != 1 {
			t.Errorf("passed on: %+v", h)
		}
		return nil
	}))
	h.Stored = append(h.Stored, storedFile{"another", "two", pair()})
	next := newParent()
	next.Inherit(&h)
	next.inherit()
	defer next.trial.Stop()
	if got := next.stored["storing"].files["one"]; got != h.Stored[0].File {
		t.Errorf("the next parent has %d, want %d", got, h.Stored[0].File)
	}
	next.closeStored()
	for _, f := range h.Stored {
		if _, err := unix.FcntlInt(uintptr(f.File), unix.F_GETFD, 0); err == nil {
			t.Errorf("%s is still open", f.Name)
		}
	}
}
