package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestAdvertFrame decodes frames with adverts by an independent library.
func TestAdvertFrame(t *testing.T) {
	mac := holderA.mac()
	payload := []byte{0x31, 51, 100, 1, 0, 100, 1, 2, 10, 9, 0, 100}
	for _, c := range []struct {
		from, to string
		start    []byte // of the frame
	}{
		{"10.9.0.1", "224.0.0.18", []byte{0x01, 0, 0x5e, 0, 0, 18, 0, 0, 0x5e, 0, 1, 51, 8, 0}},
		{"10.9.0.255", "239.255.3.4", []byte{0x01, 0, 0x5e, 0x7f, 3, 4, 0, 0, 0x5e, 0, 1, 51, 8, 0}},
		{"fe80::1", "ff02::12", []byte{0x33, 0x33, 0, 0, 0, 0x12, 0, 0, 0x5e, 0, 1, 51, 0x86, 0xdd}},
	} {
		from, to := netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)
		o := newAdvertFrame(payload, mac, from, to, 7)
		frame := unsafe.Slice(o.iov.Base, o.iov.Len)
		if !slices.Equal(frame[:len(c.start)], c.start) {
			t.Errorf("to %s: Ethernet header % x, want % x", to, frame[:len(c.start)], c.start)
		}
		packet := frame[len(c.start):]
		if to.Is4() {
			h, err := ipv4.ParseHeader(packet)
			if err != nil {
				t.Fatal(err)
			}
			want := ipv4.Header{
				Version: 4, Len: 20, TOS: 0xc0, TotalLen: len(packet), Flags: ipv4.DontFragment, TTL: vrrp.HopLimit, Protocol: vrrp.Protocol,
				Checksum: h.Checksum, Src: from.AsSlice(), Dst: to.AsSlice(), Options: []byte{},
			}
			if h.String() != want.String() || onesSum(packet[:20]) != 0xffff {
				t.Errorf("header %s, want %s; checksum of the header %#x", h, &want, onesSum(packet[:20]))
			}
			packet = packet[20:]
		} else {
			h, err := ipv6.ParseHeader(packet)
			if err != nil {
				t.Fatal(err)
			}
			want := ipv6.Header{
				Version: 6, TrafficClass: 0xc0, PayloadLen: len(payload), NextHeader: vrrp.Protocol, HopLimit: vrrp.HopLimit, Src: from.AsSlice(), Dst: to.AsSlice(),
			}
			if h.String() != want.String() {
				t.Errorf("header %s, want %s", h, &want)
			}
			packet = packet[40:]
		}
		// The trailer of auth_hmac is written in place.
		if o.data[11]++; !slices.Equal(packet, o.data) || packet[11] != 101 {
			t.Errorf("payload % x", packet)
		}
	}
}

// onesSum returns the one's complement sum, 0xffff for data with a valid checksum.
func onesSum(b []byte) uint32 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return sum
}
