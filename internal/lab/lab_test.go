package lab

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestHostTalk(t *testing.T) {
	Need(t, Host)
	l := NewT(t, "labtest")
	lan := must[*Bridge](t)(l.Bridge("lan"))
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	a := must[*Node](t)(l.Host("a", NIC{Name: "eth0", Bridge: lan, MAC: mac, Addresses: Prefixes("10.0.0.1/24", "fd00::1/64")}))
	b := must[*Node](t)(l.Host("b", NIC{Name: "eth0", Bridge: lan, MTU: 1400, Addresses: Prefixes("10.0.0.2/24", "fd00::2/64")}))

	if link, err := a.Link("eth0"); err != nil || link.Attrs().HardwareAddr.String() != mac.String() {
		t.Fatalf("eth0 of a is %v, %v, want MAC %v", link, err, mac)
	}
	if link, err := b.Link("eth0"); err != nil || link.Attrs().MTU != 1400 {
		t.Fatalf("eth0 of b is %v, %v, want MTU 1400", link, err)
	}
	for _, server := range []string{"10.0.0.2:80", "[fd00::2]:80"} {
		ln := must[net.Listener](t)(b.Listen("tcp", server))
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello from "+server)
			_ = conn.Close()
		}()
		conn := must[net.Conn](t)(a.DialContext(t.Context(), "tcp", server))
		got := must[[]byte](t)(io.ReadAll(conn))
		if want := "hello from " + server; string(got) != want {
			t.Errorf("read %q, want %q", got, want)
		}
		_ = conn.Close()
		_ = ln.Close()
	}
	if err := a.AddRoute(Default, mustAddr("10.0.0.2")); err != nil {
		t.Error(err)
	}
	if err := a.DelAddress("eth0", netip.MustParsePrefix("10.0.0.1/24")); err != nil {
		t.Error(err)
	}
}

func TestHostCommand(t *testing.T) {
	Need(t, Host)
	l := NewT(t, "labtest")
	lan := must[*Bridge](t)(l.Bridge("lan"))
	a := must[*Node](t)(l.Host("a", NIC{Name: "eth7", Bridge: lan}))

	out := must[[]byte](t)(a.Command(t.Context(), "sh", "-c", "ls /sys/class/net; cat /proc/sys/net/ipv4/ip_forward").Output())
	if got := strings.Fields(string(out)); len(got) != 3 || got[0] != "eth7" || got[1] != "lo" {
		t.Errorf("the host sees %q, want eth7, lo and a number", got)
	}
	if err := a.Sysctl("net.ipv4.ip_forward", "1"); err != nil {
		t.Fatal(err)
	}
	out = must[[]byte](t)(a.Command(t.Context(), "cat", "/proc/sys/net/ipv4/ip_forward").CombinedOutput())
	if string(out) != "1\n" {
		t.Errorf("ip_forward is %q, want 1", out)
	}
}

func TestHostCloseKills(t *testing.T) {
	Need(t, Host)
	l := must[*Lab](t)(New("labtest"))
	a := must[*Node](t)(l.Host("a"))
	// setsid puts the sleeper into another process group, as a daemon would.
	c := a.Command(t.Context(), "setsid", "sleep", "1000")
	out := must[io.ReadCloser](t)(c.StdoutPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The pipe ends when the last process that has it open ends.
	if _, err := io.ReadAll(out); err != nil {
		t.Error(err)
	}
	_ = c.Wait()
	left := must[[]string](t)(filepath.Glob(filepath.Join(namespaceDir, l.id+"-*")))
	if len(left) != 0 {
		t.Errorf("namespaces are left: %v", left)
	}
}

func TestHostDoRestoresNamespace(t *testing.T) {
	Need(t, Host)
	l := NewT(t, "labtest")
	a := must[*Node](t)(l.Host("a"))
	inode := func() (ino uint64) {
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	home := inode()
	wanted := errors.New("wanted")
	err := a.Do(func() error {
		if inode() == home {
			t.Error("not in the host's namespace")
		}
		return wanted
	})
	if !errors.Is(err, wanted) {
		t.Errorf("Do returned %v, want the function's error", err)
	}
	for range 50 {
		if err := a.Do(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if inode() != home {
			t.Fatal("left in the host's namespace")
		}
	}
}

func TestHostLeftovers(t *testing.T) {
	Need(t, Host)
	const dead = "labdead-999999999-1-a" // a prefix of its own: labs of tests at the same time would remove it
	if _, err := makeNamespace(dead); err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(SharedDir, dead)
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	NewT(t, "labdead")
	for _, path := range []string{filepath.Join(namespaceDir, dead), files} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("of the dead run there is still %s: %v", path, err)
		}
	}
}
