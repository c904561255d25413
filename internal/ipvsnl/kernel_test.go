package ipvsnl

import (
	"encoding/binary"
	"errors"
	"syscall"
	"testing"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

func TestHostWithoutIPVS(t *testing.T) {
	lab.Need(t, lab.Host)
	if lab.HasIPVS() == nil {
		t.Skip("this kernel has IPVS")
	}
	_, err := Open(t.Context())
	if !errors.Is(err, ErrNoIPVS) {
		t.Errorf("got error %v, want %v", err, ErrNoIPVS)
	}
	t.Log(err)
}

func openInNamespace(t *testing.T, host *lab.Node) *Conn {
	t.Helper()
	var c *Conn
	err := host.Do(func() (err error) {
		c, err = Open(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// markService is a request for the virtual service of a firewall mark.
func markService(t *testing.T, command uint8, mark uint32) Request {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	ae.Nested(AttrService, func(ae *netlink.AttributeEncoder) error {
		ae.Uint16(1, syscall.AF_INET)
		ae.Uint32(5, mark)
		ae.String(6, "rr")
		ae.Bytes(7, binary.NativeEndian.AppendUint64(nil, 0xffffffff<<32))
		ae.Uint32(8, 0)
		ae.Uint32(9, 0xffffffff)
		return nil
	})
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return Request{Command: command, Attributes: b}
}

func TestKernelBatch(t *testing.T) {
	lab.Need(t, lab.Kernel)
	host, err := lab.NewT(t, "ipvsnl").Host("director")
	if err != nil {
		t.Fatal(err)
	}
	c := openInNamespace(t, host)
	var requests []Request
	const n = 3*pieceRequests + 1
	for i := range uint32(n) {
		requests = append(requests, markService(t, CmdNewService, i/2+1)) // each one twice
	}
	for i, err := range c.Batch(t.Context(), requests) {
		var want error
		if i%2 == 1 {
			want = syscall.EEXIST
		}
		if !errors.Is(err, want) {
			t.Fatalf("request %d: got error %v, want %v", i, err, want)
		}
	}
	list, err := c.Dump(t.Context(), Request{Command: CmdGetService})
	if err != nil || len(list) != n/2+1 {
		t.Errorf("got %d services, %v, want %d", len(list), err, n/2+1)
	}
}

// A replacement socket is in the namespace of the first one, whichever thread creates it.
func TestKernelReplacedSocketStaysInItsNamespace(t *testing.T) {
	lab.Need(t, lab.Kernel)
	l := lab.NewT(t, "ipvsnl")
	var conns []*Conn
	for _, name := range []string{"a", "b"} {
		host, err := l.Host(name)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, openInNamespace(t, host))
	}
	for i, c := range conns {
		c.drop(c.sock)
		if err := c.Do(t.Context(), markService(t, CmdNewService, uint32(i+1))); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), markService(t, CmdGetService, uint32(2-i))); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("connection %d sees the other one's service: %v", i, err)
		}
	}
}
