package vrrp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var cmpAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addrs(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func familyOf(a netip.Addr) Family {
	if a.Is6() {
		return IPv6
	}
	return IPv4
}

// packet is a line of testdata/packets.txt.
type packet struct {
	name string
	env  Envelope
	wire []byte
}

func readPackets(tb testing.TB) []packet {
	tb.Helper()
	text, err := os.ReadFile("testdata/packets.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var out []packet
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) != 5 {
			tb.Fatalf("testdata/packets.txt: %q has %d fields, want 5", line, len(f))
		}
		ttl, err := strconv.ParseUint(f[3], 10, 8)
		if err != nil {
			tb.Fatal(err)
		}
		wire, err := hex.DecodeString(f[4])
		if err != nil {
			tb.Fatal(err)
		}
		src := netip.MustParseAddr(f[1])
		out = append(out, packet{f[0], Envelope{familyOf(src), src, netip.MustParseAddr(f[2]), uint8(ttl)}, wire})
	}
	return out
}

var goldenAdverts = map[string]Advert{
	"keepalived-v3-20cs": {
		Version: 3, Family: IPv4, VirtualRouterID: 51, Priority: 100, Interval: 200 * time.Millisecond,
		Addresses: addrs("10.9.0.100"),
	},
	"keepalived-v2": {
		Version: 2, Family: IPv4, VirtualRouterID: 21, Priority: 150, Interval: time.Second,
		Addresses: addrs("10.9.0.100", "10.9.0.101"),
	},
	"keepalived-v2-leave": {
		Version: 2, Family: IPv4, VirtualRouterID: 21, Priority: 0, Interval: time.Second,
		Addresses: addrs("10.9.0.100", "10.9.0.101"),
	},
	"keepalived-v2-auth": {
		Version: 2, Family: IPv4, VirtualRouterID: 22, Priority: 150, Interval: time.Second,
		Addresses: addrs("10.9.0.102"), AuthType: AuthSimple, AuthData: authData("s3cret"),
	},
	"keepalived-v3": {
		Version: 3, Family: IPv4, VirtualRouterID: 31, Priority: 200, Interval: 250 * time.Millisecond,
		Addresses: addrs("10.9.0.103", "10.9.0.104", "10.9.0.105"),
	},
	"keepalived-v3-leave": {
		Version: 3, Family: IPv4, VirtualRouterID: 31, Priority: 0, Interval: 250 * time.Millisecond,
		Addresses: addrs("10.9.0.103", "10.9.0.104", "10.9.0.105"),
	},
	"keepalived-v3-unicast": {
		Version: 3, Family: IPv4, VirtualRouterID: 32, Priority: 200, Interval: time.Second,
		Addresses: addrs("10.9.0.106"),
	},
	"keepalived-v3-ipv6": {
		Version: 3, Family: IPv6, VirtualRouterID: 33, Priority: 255, Interval: 40_950 * time.Millisecond,
		Addresses: addrs("fe80::100", "2001:db8::100"),
	},
	"keepalived-v3-global": {
		Version: 3, Family: IPv6, VirtualRouterID: 34, Priority: 100, Interval: 10 * time.Millisecond,
		Addresses: addrs("2001:db8::200"),
	},
	"by-hand-v3-plain": {
		Version: 3, Family: IPv4, VirtualRouterID: 51, Priority: 100, Interval: 200 * time.Millisecond,
		Addresses: addrs("10.9.0.100"), Checksum: ChecksumPacketOnly,
	},
	"by-hand-v2-255s": {
		Version: 2, Family: IPv4, VirtualRouterID: 255, Priority: 1, Interval: 255 * time.Second,
		Addresses: addrs("10.9.0.100"),
	},
}

func TestGoldenPackets(t *testing.T) {
	packets := readPackets(t)
	if len(packets) != len(goldenAdverts) {
		t.Errorf("%d packets, %d expectations", len(packets), len(goldenAdverts))
	}
	for _, p := range packets {
		t.Run(p.name, func(t *testing.T) {
			want, ok := goldenAdverts[p.name]
			if !ok {
				t.Fatal("no expectation for this packet")
			}
			var got Advert
			if r := Parse(p.wire, p.env, &got); r != NotDropped {
				t.Fatalf("dropped: %s", r)
			}
			if diff := cmp.Diff(want, got, cmpAddrs); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
			wire, err := want.Append(nil, p.env.Source, p.env.Destination)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(wire, p.wire) {
				t.Errorf("built %x, want %x", wire, p.wire)
			}
		})
	}
}

// golden returns a packet of testdata by name.
func golden(tb testing.TB, name string) packet {
	tb.Helper()
	for _, p := range readPackets(tb) {
		if p.name == name {
			return p
		}
	}
	tb.Fatalf("no packet %s", name)
	return packet{}
}

// seal recomputes the checksum of a modified packet.
func seal(wire []byte, e Envelope) []byte {
	wire[checksumAt], wire[checksumAt+1] = 0, 0
	var sum checksum
	if wire[0]>>4 == 3 {
		sum.addPseudoHeader(e.Source, e.Destination, len(wire))
	}
	sum.add(wire)
	v := sum.value()
	wire[checksumAt], wire[checksumAt+1] = byte(v>>8), byte(v)
	return wire
}

func TestParseDrops(t *testing.T) {
	for _, tc := range []struct {
		name   string
		packet string
		change func(b []byte) []byte
		reseal bool
		want   DropReason
	}{
		{"as captured", "keepalived-v3", nil, false, NotDropped},
		{"padded to the Ethernet minimum", "keepalived-v2-auth", func(b []byte) []byte { return append(b, make([]byte, 6)...) }, false, NotDropped},
		{"padded with nonzero bytes", "keepalived-v3", func(b []byte) []byte { return append(b, 1, 2, 3) }, false, NotDropped},
		{"empty", "keepalived-v3", func([]byte) []byte { return nil }, false, DropTruncated},
		{"half a header", "keepalived-v3", func(b []byte) []byte { return b[:7] }, false, DropTruncated},
		{"header without addresses", "keepalived-v3", func(b []byte) []byte { return b[:8] }, false, DropTruncated},
		{"one address missing", "keepalived-v3", func(b []byte) []byte { return b[:16] }, true, DropTruncated},
		{"no auth data", "keepalived-v2", func(b []byte) []byte { return b[:16] }, true, DropTruncated},
		{"version 1", "keepalived-v3", func(b []byte) []byte { b[0] = 0x11; return b }, true, DropVersion},
		{"version 4", "keepalived-v3", func(b []byte) []byte { b[0] = 0x41; return b }, true, DropVersion},
		{"version 2 over IPv6", "keepalived-v3-ipv6", func(b []byte) []byte { b[0] = 0x21; return b }, true, DropVersion},
		{"type 2", "keepalived-v3", func(b []byte) []byte { b[0] = 0x32; return b }, true, DropType},
		{"type 0", "keepalived-v2", func(b []byte) []byte { b[0] = 0x20; return b }, true, DropType},
		{"no addresses", "keepalived-v3", func(b []byte) []byte { b[3] = 0; return b[:8] }, true, NotDropped},
		{"more than Ethernet padding", "keepalived-v3", func(b []byte) []byte { return append(b, make([]byte, 7)...) }, false, DropLength},
		{"bit flipped", "keepalived-v3", func(b []byte) []byte { b[2] ^= 1; return b }, false, DropChecksum},
		{"bit flipped, v2", "keepalived-v2", func(b []byte) []byte { b[2] ^= 1; return b }, false, DropChecksum},
		{"bit flipped, IPv6", "keepalived-v3-ipv6", func(b []byte) []byte { b[2] ^= 1; return b }, false, DropChecksum},
		{"no checksum", "keepalived-v3", func(b []byte) []byte { b[6], b[7] = 0, 0; return b }, false, DropChecksum},
		{"password changed", "keepalived-v2-auth", func(b []byte) []byte { b[len(b)-8] ^= 1; return b }, false, DropChecksum},
		{"interval 0", "keepalived-v3", func(b []byte) []byte { b[4], b[5] = 0, 0; return b }, true, DropIntervalZero},
		{"interval 0, v2", "keepalived-v2", func(b []byte) []byte { b[5] = 0; return b }, true, DropIntervalZero},
		{"reserved bits set", "keepalived-v3", func(b []byte) []byte { b[4] |= 0xf0; return b }, true, NotDropped},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := golden(t, tc.packet)
			wire := p.wire
			if tc.change != nil {
				wire = tc.change(wire)
			}
			if tc.reseal {
				wire = seal(wire, p.env)
			}
			var a Advert
			if got := Parse(wire, p.env, &a); got != tc.want {
				t.Errorf("dropped as %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseWrongPseudoHeader(t *testing.T) {
	for _, name := range []string{"keepalived-v3", "keepalived-v3-ipv6"} {
		p := golden(t, name)
		p.env.Source = p.env.Source.Next()
		var a Advert
		if got := Parse(p.wire, p.env, &a); got != DropChecksum {
			t.Errorf("%s from another source: dropped as %q, want %q", name, got, DropChecksum)
		}
	}
}

func TestReservedBitsAreIgnored(t *testing.T) {
	p := golden(t, "keepalived-v3")
	p.wire[4] |= 0xf0
	var a Advert
	if r := Parse(seal(p.wire, p.env), p.env, &a); r != NotDropped || a.Interval != 250*time.Millisecond {
		t.Errorf("interval %s, dropped as %q; want 250ms and not dropped", a.Interval, r)
	}
}

func TestAppendErrors(t *testing.T) {
	good := goldenAdverts["keepalived-v3"]
	src, dst := netip.MustParseAddr("10.9.0.1"), MulticastIPv4
	for _, tc := range []struct {
		name    string
		change  func(*Advert)
		subject string
	}{
		{"fraction of a centisecond", func(a *Advert) { a.Interval = 25 * time.Millisecond }, "25ms"},
		{"over 12 bits", func(a *Advert) { a.Interval = 41 * time.Second }, "41s"},
		{"v2 below a second", func(a *Advert) { a.Version = 2 }, "250ms"},
		{"256 addresses", func(a *Advert) { a.Addresses = make([]netip.Addr, 256) }, "256 addresses"},
		{"other family", func(a *Advert) { a.Addresses = addrs("10.0.0.1", "fe80::1") }, "fe80::1"},
		{"version 4", func(a *Advert) { a.Version = 4 }, "version 4"},
		{"v2 IPv6", func(a *Advert) { a.Version, a.Family = 2, IPv6 }, "version 2"},
		{"family of the path", func(a *Advert) { a.Family, a.Addresses = IPv6, addrs("fe80::1") }, "10.9.0.1 to 224.0.0.18"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := good
			tc.change(&a)
			prefix := []byte("kept")
			b, err := a.Append(prefix, src, dst)
			if err == nil || !strings.Contains(err.Error(), tc.subject) {
				t.Errorf("error %v does not name %s", err, tc.subject)
			}
			if !bytes.Equal(b, prefix) {
				t.Errorf("returned %q, want %q", b, prefix)
			}
		})
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	for _, p := range readPackets(t) {
		a := goldenAdverts[p.name]
		buf := make([]byte, 0, MaxPacketLen)
		var into Advert
		into.Addresses = make([]netip.Addr, 0, 255)
		n := testing.AllocsPerRun(100, func() {
			b, err := a.Append(buf, p.env.Source, p.env.Destination)
			if err != nil || Parse(b, p.env, &into) != NotDropped {
				t.Fatal("does not round-trip")
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations, want 0", p.name, n)
		}
	}
}

func TestAuthDataDoesNotPrint(t *testing.T) {
	a := goldenAdverts["keepalived-v2-auth"]
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(format, a); strings.Contains(s, "s3cret") || strings.Contains(s, hex.EncodeToString([]byte("s3cret"))) {
			t.Errorf("%s prints the password: %s", format, s)
		}
	}
}
