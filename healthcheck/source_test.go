package healthcheck

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSource checks which address a server sees, and that a source which this host does not have says nothing about the server.
func TestSource(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server := netip.MustParseAddrPort(ln.Addr().String())
	here := Source{Address: netip.MustParseAddr("127.0.0.77"), Interface: "lo"}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := dial(ctx, server, dialOptions{source: here})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if from := accepted.RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.77" {
		t.Errorf("the server sees %s", from)
	}
	for _, elsewhere := range []Source{
		{Address: netip.MustParseAddr("192.0.2.77")}, {Address: netip.MustParseAddr("::1")}, {Interface: "nosuch0"},
	} {
		probe, err := NewProbe(Spec{Check: &TCP{}, Timeout: 10 * time.Second, Source: elsewhere})
		if err != nil {
			t.Fatal(err)
		}
		if r := probe(ctx, server); !r.Local {
			t.Errorf("%+v: %+v", elsewhere, r)
		}
	}
}

func TestSourceMark(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	err = Source{Mark: 0x80000007}.bind(fd, unix.AF_INET)
	if _, lacks := errors.AsType[shortage](err); lacks {
		return // without CAP_NET_ADMIN
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK); err != nil || uint32(got) != 0x80000007 {
		t.Errorf("mark %#x, %v", got, err)
	}
}
