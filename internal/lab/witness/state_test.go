package main

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCountTable(t *testing.T) {
	const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  CA633B6E:0050 rr  
  -> C0A80A01:0050      Masq    1      0          0         
  -> C0A80A02:0050      Masq    0      3          0         
  -> C0A80A03:0050      Masq    10     0          0         
UDP  CA633B6E:0035 rr  
`
	if services, servers := countTable([]byte(table)); services != 2 || servers != 2 {
		t.Errorf("%d services and %d servers with a weight, want 2 and 2", services, servers)
	}
}

func addressMessage(a netip.Addr) []byte {
	const size = unix.SizeofNlMsghdr + unix.SizeofIfAddrmsg + unix.SizeofRtAttr + 4
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, size)
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_NEWADDR)
	attribute := b[unix.SizeofNlMsghdr+unix.SizeofIfAddrmsg:]
	binary.NativeEndian.PutUint16(attribute, unix.SizeofRtAttr+4)
	binary.NativeEndian.PutUint16(attribute[2:], unix.IFA_LOCAL)
	copy(attribute[4:], a.AsSlice())
	return b
}

func TestEachAddress(t *testing.T) {
	want := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
	messages := append(addressMessage(want[0]), addressMessage(want[1])...)
	done := make([]byte, unix.SizeofNlMsghdr+4)
	binary.NativeEndian.PutUint32(done, uint32(len(done)))
	binary.NativeEndian.PutUint16(done[4:], unix.NLMSG_DONE)
	var got []netip.Addr
	take := func(a netip.Addr) { got = append(got, a) }
	if end, err := eachAddress(messages, take); end || err != nil {
		t.Errorf("messages without an end: %v, %v", end, err)
	}
	if end, err := eachAddress(done, take); !end || err != nil {
		t.Errorf("the end: %v, %v", end, err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
}

func FuzzEachAddress(f *testing.F) {
	f.Add(addressMessage(netip.MustParseAddr("10.0.0.1")))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = eachAddress(b, func(netip.Addr) {}) })
}
