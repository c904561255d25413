package ipvsnltest

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// conversation is a socket of the scripted kernel.
type conversation struct {
	t *testing.T
	Transport
}

// ask sends a request and returns the messages of each datagram that answers it.
func (c conversation) ask(family netlink.HeaderType, command uint8, flags netlink.HeaderFlags) (datagrams [][]syscall.NetlinkMessage) {
	c.t.Helper()
	data, err := genetlink.Message{Header: genetlink.Header{Command: command, Version: 1}}.MarshalBinary()
	if err != nil {
		c.t.Fatal(err)
	}
	m := netlink.Message{Header: netlink.Header{Type: family, Flags: netlink.Request | flags, Sequence: 7}, Data: data}
	if err := c.Send(encode([]netlink.Message{m})); err != nil {
		c.t.Fatal(err)
	}
	for b := make([]byte, 4096); ; {
		n, err := c.Receive(b)
		if errors.Is(err, syscall.EAGAIN) {
			return datagrams
		}
		if err != nil {
			c.t.Fatal(err)
		}
		messages, err := syscall.ParseNetlinkMessage(slices.Clone(b[:n]))
		if err != nil {
			c.t.Fatal(err)
		}
		datagrams = append(datagrams, messages)
	}
}

func TestScriptedKernel(t *testing.T) {
	k := New(func(c Call) Answer {
		switch c.Command {
		case 8:
			return Answer{Lost: true}
		case 9:
			return Answer{Errno: syscall.EEXIST}
		}
		return Answer{Messages: [][]byte{{1, 2, 3, 4}, {5, 6, 7, 8}}}
	})
	transport, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	c := conversation{t, transport}
	if got := c.ask(unix.GENL_ID_CTRL, 3, 0); len(got) != 1 || got[0][0].Header.Type != unix.GENL_ID_CTRL {
		t.Errorf("the family: got %v", got)
	}
	if got := c.ask(Family, 4, netlink.Dump); len(got) != 1 || len(got[0]) != 3 || got[0][1].Data[4] != 5 || got[0][2].Header.Type != unix.NLMSG_DONE {
		t.Errorf("a dump: got %v", got)
	}
	if got := c.ask(Family, 9, netlink.Acknowledge); len(got) != 1 || got[0][0].Header.Type != unix.NLMSG_ERROR || int8(got[0][0].Data[0]) != -int8(syscall.EEXIST) {
		t.Errorf("a refusal: got %v, want EEXIST", got)
	}
	// Each answer is a separate datagram, like the acknowledgement after them.
	if got := c.ask(Family, 4, netlink.Acknowledge); len(got) != 3 || len(got[0]) != 1 || got[2][0].Header.Type != unix.NLMSG_ERROR {
		t.Errorf("an answer: got %v", got)
	}
	if got := c.ask(Family, 8, netlink.Acknowledge); len(got) != 0 {
		t.Errorf("a lost answer: got %v", got)
	}
	if calls := k.Calls(); len(calls) != 4 || calls[0].Command != 4 || calls[2].Flags != netlink.Request|netlink.Acknowledge {
		t.Errorf("got calls %+v", calls)
	}
	k.NoFamily = true
	if got := c.ask(unix.GENL_ID_CTRL, 3, 0); len(got) != 1 || int8(got[0][0].Data[0]) != -int8(syscall.ENOENT) {
		t.Errorf("without the family: got %v, want ENOENT", got)
	}
	if k.Sockets() != 1 {
		t.Errorf("%d sockets, want 1", k.Sockets())
	}
}

func TestFaultsOfSystemCalls(t *testing.T) {
	var faults []syscall.Errno
	var ops []Op
	k := New(func(Call) Answer { return Answer{} })
	k.Fault = func(n int, op Op) syscall.Errno {
		ops = append(ops, op)
		return faults[n]
	}
	faults = []syscall.Errno{syscall.EMFILE, 0, syscall.EINTR, Lost, 0, 0, syscall.ENOBUFS}
	if _, err := k.Dial(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("got error %v, want EMFILE", err)
	}
	s, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	request := encode([]netlink.Message{{Header: netlink.Header{Type: Family, Flags: netlink.Acknowledge}, Data: make([]byte, 4)}})
	var got []error
	got = append(got, s.Send(request), s.Send(request), s.Send(request))
	for range 2 {
		_, err := s.Receive(b)
		got = append(got, err)
	}
	if want := []error{syscall.EINTR, nil, nil, nil, syscall.ENOBUFS}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := k.SystemCalls(); n != 7 || len(k.Calls()) != 2 || ops[1] != Open || ops[4] != Send || ops[6] != Receive {
		t.Errorf("%d system calls %v, %d requests, want 7 and 2", n, ops, len(k.Calls()))
	}
}
