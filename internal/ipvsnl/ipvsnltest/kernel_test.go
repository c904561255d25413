package ipvsnltest

import (
	"errors"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

func TestScriptedKernel(t *testing.T) {
	k := New(func(c Call) Answer {
		if c.Command == 9 {
			return Answer{Errno: syscall.EEXIST}
		}
		return Answer{Messages: [][]byte{{1, 2, 3, 4}, {5, 6, 7, 8}}}
	})
	nl, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	c := genetlink.NewConn(nl)
	defer c.Close()
	if f, err := c.GetFamily("IPVS"); err != nil || f.ID != Family {
		t.Fatalf("got family %+v, %v", f, err)
	}
	ask := func(command uint8, flags netlink.HeaderFlags) ([]genetlink.Message, error) {
		return c.Execute(genetlink.Message{Header: genetlink.Header{Command: command, Version: 1}}, Family, netlink.Request|flags)
	}
	if list, err := ask(4, netlink.Dump); err != nil || len(list) != 2 || list[1].Data[0] != 5 {
		t.Errorf("a dump: got %v, %v", list, err)
	}
	if _, err := ask(9, netlink.Acknowledge); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a refusal: got error %v, want EEXIST", err)
	}
	// Each answer is a datagram of its own, and so is the acknowledgement after them.
	if list, err := ask(4, netlink.Acknowledge); err != nil || len(list) != 1 {
		t.Errorf("an answer: got %v, %v", list, err)
	}
	for _, want := range []int{1, 1} {
		if list, err := nl.Receive(); err != nil || len(list) != want {
			t.Errorf("the rest: got %v, %v", list, err)
		}
	}
	if calls := k.Calls(); len(calls) != 3 || calls[0].Command != 4 || calls[1].Flags != netlink.Request|netlink.Acknowledge {
		t.Errorf("got calls %+v", calls)
	}
	k.NoFamily = true
	if _, err := c.GetFamily("IPVS"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("without the family: got error %v, want ENOENT", err)
	}
	if k.Sockets() != 1 {
		t.Errorf("%d sockets, want 1", k.Sockets())
	}
}
