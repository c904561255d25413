package vrrp

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawAddr(t *rapid.T, f Family, label string) netip.Addr {
	b := rapid.SliceOfN(rapid.Byte(), f.addrLen(), f.addrLen()).Draw(t, label)
	if f == IPv6 {
		return netip.AddrFrom16([16]byte(b))
	}
	return netip.AddrFrom4([4]byte(b))
}

func drawAdvert(t *rapid.T) Advert {
	a := Advert{
		Version:         rapid.SampledFrom([]uint8{2, 3}).Draw(t, "version"),
		Family:          IPv4,
		VirtualRouterID: rapid.Uint8().Draw(t, "vrid"),
		Priority:        rapid.Uint8().Draw(t, "priority"),
	}
	if a.Version == 2 {
		a.Interval = time.Duration(rapid.IntRange(1, 255).Draw(t, "seconds")) * time.Second
		a.AuthType = rapid.SampledFrom([]AuthType{AuthNone, AuthSimple}).Draw(t, "auth type")
		if a.AuthType == AuthSimple {
			a.AuthData = AuthData(rapid.SliceOfN(rapid.Byte(), authDataLen, authDataLen).Draw(t, "auth data"))
		}
	} else {
		a.Family = rapid.SampledFrom([]Family{IPv4, IPv6}).Draw(t, "family")
		a.Interval = time.Duration(rapid.IntRange(1, maxCentisec).Draw(t, "centiseconds")) * centisecond
		if a.Family == IPv4 {
			a.Checksum = rapid.SampledFrom([]ChecksumMode{ChecksumPseudoHeader, ChecksumPacketOnly}).Draw(t, "checksum")
		}
	}
	for range rapid.OneOf(rapid.IntRange(1, 4), rapid.IntRange(1, 255)).Draw(t, "count") {
		a.Addresses = append(a.Addresses, drawAddr(t, a.Family, "address"))
	}
	return a
}

func TestAdvertRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawAdvert(t)
		env := Envelope{want.Family, drawAddr(t, want.Family, "source"), MulticastAddress(want.Family), HopLimit}
		wire, err := want.Append(nil, env.Source, env.Destination)
		if err != nil {
			t.Fatal(err)
		}
		if len(wire) > MaxPacketLen {
			t.Fatalf("%d bytes, more than MaxPacketLen", len(wire))
		}
		got := Advert{Addresses: addrs("::1")}
		if r := Parse(wire, env, &got); r != NotDropped {
			t.Fatalf("dropped: %s", r)
		}
		// If the sum of the pseudo-header is zero, both interpretations of the checksum are valid.
		if got.Checksum != want.Checksum && want.Checksum == ChecksumPacketOnly {
			t.Skip("both checksums are right")
		}
		if diff := cmp.Diff(want, got, cmpAddrs); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}

		// A flipped bit after the fields that determine the packet's format is always detected.
		bit := rapid.IntRange(checksumAt*8, len(wire)*8-1).Draw(t, "flipped bit")
		wire[bit/8] ^= 1 << (bit % 8)
		if r := Parse(wire, env, &got); r != DropChecksum {
			t.Fatalf("bit %d flipped: dropped as %q, want %q", bit, r, DropChecksum)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, p := range readPackets(f) {
		f.Add(p.wire, p.env.Family == IPv6)
		f.Add(append(slices.Clone(p.wire), make([]byte, 6)...), p.env.Family == IPv6)
		f.Add(p.wire[:len(p.wire)-1], p.env.Family == IPv6)
	}
	f.Add([]byte{}, false)
	f.Add(bytes.Repeat([]byte{0x31}, 8), true)
	f.Add(bytes.Repeat([]byte{0xff}, MaxPacketLen), true)
	f.Fuzz(func(t *testing.T, payload []byte, ipv6 bool) {
		env := Envelope{IPv4, netip.MustParseAddr("10.9.0.1"), MulticastIPv4, HopLimit}
		if ipv6 {
			env = Envelope{IPv6, netip.MustParseAddr("fe80::a"), MulticastIPv6, HopLimit}
		}
		// Random bytes rarely have a valid checksum: set it, to reach the later checks.
		if len(payload) >= headerLen {
			fuzzOne(t, seal(slices.Clone(payload), env), env)
		}
		fuzzOne(t, payload, env)
	})
}

// fuzzOne checks that an accepted packet, encoded again, yields the same bytes.
func fuzzOne(t *testing.T, payload []byte, env Envelope) {
	var a Advert
	r := Parse(payload, env, &a)
	if r.String() == "unknown" {
		t.Fatalf("reason %d has no name", r)
	}
	if r != NotDropped {
		return
	}
	wire, err := a.Append(nil, env.Source, env.Destination)
	if err != nil {
		t.Fatalf("accepted, but %s", err)
	}
	if a.Version == 3 && payload[4]>>4 != 0 {
		return // reserved bits are not kept
	}
	if a.Signed {
		wire = wire[:len(wire)-TrailerLen] // written by an Authenticator
	}
	// 0x0000 and 0xffff are the same checksum, and over IPv6 it covers the trailer.
	got, want := slices.Clone(payload[:len(wire)]), wire
	clear(got[checksumAt:headerLen])
	clear(want[checksumAt:headerLen])
	if !bytes.Equal(got, want) {
		t.Fatalf("read %x, built %x", got, want)
	}
}
