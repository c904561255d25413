package healthcheck_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/lvs-ha/lvs-ha/healthcheck"
)

var tcpSpec = Spec{Check: &TCP{}, Timeout: 5 * time.Second}

func TestTCP(t *testing.T) {
	wantResult(t, check(t, tcpSpec, serve(t, loopback, hold)), true, "connected")
}

func TestTCPOverIPv6(t *testing.T) {
	wantResult(t, check(t, tcpSpec, serve(t, "[::1]:0", hold)), true, "connected")
}

// closedPort returns an address on which nothing listens.
func closedPort(t *testing.T, address string) netip.AddrPort {
	t.Helper()
	ln := listen(t, address)
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func TestTCPRefused(t *testing.T) {
	wantResult(t, check(t, tcpSpec, closedPort(t, loopback)), false, "connection refused")
	wantResult(t, check(t, tcpSpec, closedPort(t, "[::1]:0")), false, "connection refused")
}

// silent returns a server that drops SYNs because its accept queue is full.
func silent(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	server := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	failed := 0 // in a row; on a busy host a single one may do so without a full queue
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		c, err := new(net.Dialer).DialContext(ctx, "tcp", server.String())
		cancel()
		if err != nil {
			if failed++; failed == 3 {
				return server
			}
			continue
		}
		failed = 0
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("this kernel accepts connections beyond a full queue")
	return server
}

func TestTCPTimeout(t *testing.T) {
	spec := tcpSpec
	spec.Timeout = 50 * time.Millisecond
	began := time.Now()
	wantResult(t, check(t, spec, silent(t)), false, "timeout after 50ms")
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestTCPCancelled(t *testing.T) {
	server := silent(t)
	ctx, cancel := context.WithCancel(t.Context())
	probe, err := NewProbe(tcpSpec)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if r := probe(ctx, server); r.OK || !r.Local {
		t.Errorf("a cancelled check says %+v of the server", r)
	}
	if r := probe(ctx, server); r.OK || !r.Local {
		t.Errorf("a check that was cancelled before it began says %+v of the server", r)
	}
}

func TestNoAddress(t *testing.T) {
	for _, server := range []netip.AddrPort{{}, netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[fe80::1%none]:80")} {
		if r := check(t, tcpSpec, server); r.OK || r.Detail == "" {
			t.Errorf("%v: %+v", server, r)
		}
	}
}

// TestTCPLeavesNoTrace checks that the server's process accepts no connection, and no socket is left in TIME_WAIT.
func TestTCPLeavesNoTrace(t *testing.T) {
	ln, err := net.Listen("tcp4", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server := netip.MustParseAddrPort(ln.Addr().String())
	for range 50 {
		wantResult(t, check(t, tcpSpec, server), true, "connected")
	}
	if n := socketsInTimeWait(t, server.Port()); n > 0 {
		t.Errorf("%d sockets are left in TIME_WAIT", n)
	}
	marker, err := net.Dial("tcp4", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer marker.Close()
	first, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != marker.LocalAddr().String() {
		t.Errorf("the server was handed a check's connection, from %v", first.RemoteAddr())
	}
}

// socketsInTimeWait counts the sockets with a local or remote port.
func socketsInTimeWait(t *testing.T, port uint16) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	const timeWait = "06"
	count, suffix := 0, fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[3] == timeWait && (strings.HasSuffix(f[1], suffix) || strings.HasSuffix(f[2], suffix)) {
			count++
		}
	}
	return count
}

// TestOutOfFiles checks that a shortage on this host does not count against the server.
func TestOutOfFiles(t *testing.T) {
	server := serve(t, loopback, hold)
	probe, err := NewProbe(tcpSpec)
	if err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	r := probe(t.Context(), server)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if r.OK || !r.Local || !strings.Contains(r.Detail, "too many open files") {
		t.Errorf("%+v", r)
	}
}
