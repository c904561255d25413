package speaker

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// ipv4Packet adds an IPv4 header with options to a payload.
func ipv4Packet(options int, payload []byte) []byte {
	header := 20 + options
	b := make([]byte, header, header+len(payload))
	b[0] = 0x40 | byte(header/4)
	binary.BigEndian.PutUint16(b[2:], uint16(header+len(payload)))
	b[8], b[9] = 255, vrrp.Protocol
	copy(b[12:], []byte{10, 0, 0, 1})
	copy(b[16:], []byte{224, 0, 0, 18})
	return append(b, payload...)
}

func TestParseIPv4(t *testing.T) {
	payload := []byte{0x31, 51, 100, 1, 0, 10, 0, 0}
	for _, options := range []int{0, 4, 40} {
		d := parseIPv4(append(ipv4Packet(options, payload), "padding"...))
		if d.Truncated || !slices.Equal(d.Data, payload) || d.TTL != 255 ||
			d.From.String() != "10.0.0.1" || d.To.String() != "224.0.0.18" {
			t.Errorf("with %d bytes of options: %+v", options, d)
		}
	}
	good := ipv4Packet(0, payload)
	for name, b := range map[string][]byte{
		"empty": nil, "half a header": good[:12], "less than it says": good[:25],
		"a header of nothing":                   append([]byte{0x40}, good[1:]...),
		"a header longer than all":              append([]byte{0x4f}, good[1:]...),
		"a length that is less than the header": append([]byte{0x45, 0, 0, 19}, good[4:]...),
	} {
		if d := parseIPv4(b); !d.Truncated || d.Data != nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func FuzzParseIPv4(f *testing.F) {
	f.Add(ipv4Packet(0, []byte{0x31, 51}))
	f.Add(ipv4Packet(40, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := parseIPv4(b)
		if d.Truncated != (d.Data == nil) && len(d.Data) > 0 {
			t.Errorf("%+v", d)
		}
		if len(d.Data)+20 > len(b) && !d.Truncated {
			t.Errorf("%d bytes of payload in %d", len(d.Data), len(b))
		}
	})
}

// controlMessages builds the kernel's control messages for an IPv6 packet that arrived 3 s and 7 ns after the epoch.
func controlMessages(to netip.Addr, hopLimit int) []byte {
	b := make([]byte, unix.CmsgSpace(20)+unix.CmsgSpace(4)+unix.CmsgSpace(16))
	put := func(at, level, kind int, value []byte) {
		binary.NativeEndian.PutUint64(b[at:], uint64(unix.CmsgLen(len(value))))
		binary.NativeEndian.PutUint32(b[at+8:], uint32(level))
		binary.NativeEndian.PutUint32(b[at+12:], uint32(kind))
		copy(b[at+unix.CmsgLen(0):], value)
	}
	info := to.As16()
	put(0, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(info[:], 0, 0, 0, 0))
	put(unix.CmsgSpace(20), unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, binary.NativeEndian.AppendUint32(nil, uint32(hopLimit)))
	put(unix.CmsgSpace(20)+unix.CmsgSpace(4), unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS,
		binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 3), 7))
	return b
}

func TestParseControl(t *testing.T) {
	b := controlMessages(vrrp.MulticastIPv6, 255)
	for length, want := range map[int]datagram{
		0:                                      {},
		unix.CmsgSpace(20):                     {To: vrrp.MulticastIPv6},
		unix.CmsgSpace(20) + unix.CmsgSpace(4): {To: vrrp.MulticastIPv6, TTL: 255},
		len(b):                                 {To: vrrp.MulticastIPv6, TTL: 255, Stamp: 3_000_000_007},
	} {
		var d datagram
		if d.parseControl(b[:length]); !reflect.DeepEqual(d, want) {
			t.Errorf("of %d bytes: %+v, want %+v", length, d, want)
		}
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(controlMessages(vrrp.MulticastIPv6, 255))
	f.Fuzz(func(_ *testing.T, b []byte) { new(datagram).parseControl(b) })
}

func TestOutgoing(t *testing.T) {
	from4, to4 := netip.MustParseAddr("10.0.0.1"), vrrp.MulticastIPv4
	o := newOutgoing([]byte{1, 2, 3}, from4, to4, 7)
	if o.name.Family != unix.AF_INET || o.hdr.Namelen != unix.SizeofSockaddrInet4 {
		t.Errorf("IPv4 destination: %+v", o.name)
	}
	from6 := netip.MustParseAddr("fe80::1")
	o = newOutgoing([]byte{1, 2, 3}, from6, vrrp.MulticastIPv6, 7)
	if o.name.Family != unix.AF_INET6 || o.name.Scope_id != 7 || netip.AddrFrom16(o.name.Addr) != vrrp.MulticastIPv6 {
		t.Errorf("IPv6 destination: %+v", o.name)
	}
	o = newOutgoing([]byte{1}, netip.MustParseAddr("fd09::1"), netip.MustParseAddr("fd09::2"), 7)
	if o.name.Scope_id != 0 {
		t.Errorf("a scope for a global destination: %+v", o.name)
	}
}
