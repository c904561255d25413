package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func prefixes(s ...string) []Address {
	var out []Address
	for _, p := range s {
		out = append(out, Address{Prefix: netip.MustParsePrefix(p)})
	}
	return out
}

func TestCheck(t *testing.T) {
	self := netip.MustParseAddr("10.9.0.2")
	base := Instance{VirtualRouterID: 31, Version: 3, Family: IPv4, Priority: 100, AdvertiseInterval: time.Second}
	v2 := Instance{VirtualRouterID: 21, Version: 2, Family: IPv4, Priority: 100, AdvertiseInterval: time.Second}
	v6 := Instance{VirtualRouterID: 33, Version: 3, Family: IPv6, Priority: 100, AdvertiseInterval: time.Second}
	unicast := base
	unicast.VirtualRouterID = 32
	unicast.UnicastPeers = addrs("10.9.0.1", "10.9.0.3")
	for _, tc := range []struct {
		name     string
		packet   string
		instance Instance
		change   func(in *Instance, e *Envelope)
		want     DropReason
	}{
		{"version 3, another interval", "keepalived-v3", base, nil, NotDropped},
		{"version 2", "keepalived-v2", v2, nil, NotDropped},
		{"IPv6", "keepalived-v3-ipv6", v6, nil, NotDropped},
		{"IPv6 with zones", "keepalived-v3-ipv6", v6, func(_ *Instance, e *Envelope) {
			e.Source, e.Destination = e.Source.WithZone("eth0"), e.Destination.WithZone("eth0")
		}, NotDropped},
		{"another router", "keepalived-v3", base, func(in *Instance, _ *Envelope) { in.VirtualRouterID = 30 }, DropVRIDUnknown},
		{"another family", "keepalived-v3", v6, func(in *Instance, _ *Envelope) { in.VirtualRouterID = 31 }, DropFamily},
		{"another version", "keepalived-v3", v2, func(in *Instance, _ *Envelope) { in.VirtualRouterID = 31 }, DropInstanceVersion},
		{"our own", "keepalived-v3", base, func(_ *Instance, e *Envelope) { e.Source = self }, DropOwnPacket},
		{"TTL 254", "keepalived-v3", base, func(_ *Instance, e *Envelope) { e.HopLimit = 254 }, DropTTL},
		{"TTL 1, IPv6", "keepalived-v3-ipv6", v6, func(_ *Instance, e *Envelope) { e.HopLimit = 1 }, DropTTL},
		{"unicast to multicast", "keepalived-v3", base, func(_ *Instance, e *Envelope) { e.Destination = self }, DropDestination},
		{"its own group", "keepalived-v3", base, func(in *Instance, e *Envelope) {
			in.MulticastAddress = netip.MustParseAddr("224.0.0.88")
			e.Destination = in.MulticastAddress
		}, NotDropped},
		{"the standard group", "keepalived-v3", base, func(in *Instance, _ *Envelope) { in.MulticastAddress = netip.MustParseAddr("224.0.0.88") }, DropDestination},
		{"another group", "keepalived-v3", base, func(_ *Instance, e *Envelope) { e.Destination = netip.MustParseAddr("224.0.0.5") }, DropDestination},
		{"unicast", "keepalived-v3-unicast", unicast, nil, NotDropped},
		{"unicast over a router", "keepalived-v3-unicast", unicast, func(_ *Instance, e *Envelope) { e.HopLimit = 254 }, DropTTL},
		{"unicast over allowed routers", "keepalived-v3-unicast", unicast, func(in *Instance, e *Envelope) { in.UnicastMinTTL, e.HopLimit = 250, 250 }, NotDropped},
		{"unicast over too many routers", "keepalived-v3-unicast", unicast, func(in *Instance, e *Envelope) { in.UnicastMinTTL, e.HopLimit = 250, 249 }, DropTTL},
		{"unicast over too few routers", "keepalived-v3-unicast", unicast, func(in *Instance, e *Envelope) { in.UnicastMinTTL, in.UnicastMaxTTL, e.HopLimit = 250, 253, 254 }, DropTTL},
		{"unicast over as many routers", "keepalived-v3-unicast", unicast, func(in *Instance, e *Envelope) { in.UnicastMinTTL, in.UnicastMaxTTL, e.HopLimit = 250, 253, 253 }, NotDropped},
		{"unicast, link-local", "keepalived-v3-ipv6", v6, func(in *Instance, e *Envelope) {
			in.UnicastPeers, e.Destination, e.HopLimit = []netip.Addr{e.Source}, netip.MustParseAddr("fe80::9"), 64
		}, NotDropped},
		{"multicast to unicast", "keepalived-v3-unicast", unicast, func(_ *Instance, e *Envelope) { e.Destination = MulticastIPv4 }, DropDestination},
		{"a stranger", "keepalived-v3-unicast", unicast, func(_ *Instance, e *Envelope) { e.Source = netip.MustParseAddr("10.9.0.9") }, DropNotAPeer},
		{"plain checksum unasked", "by-hand-v3-plain", base, func(in *Instance, _ *Envelope) { in.VirtualRouterID = 51 }, DropChecksumMode},
		{"plain checksum", "by-hand-v3-plain", base, func(in *Instance, _ *Envelope) { in.VirtualRouterID, in.Checksum = 51, ChecksumPacketOnly }, NotDropped},
		{"pseudo-header unasked", "keepalived-v3", base, func(in *Instance, _ *Envelope) { in.Checksum = ChecksumPacketOnly }, DropChecksumMode},
		{"password", "keepalived-v2-auth", v2, func(in *Instance, _ *Envelope) { in.VirtualRouterID, in.AuthPass = 22, "s3cret" }, NotDropped},
		{"wrong password", "keepalived-v2-auth", v2, func(in *Instance, _ *Envelope) { in.VirtualRouterID, in.AuthPass = 22, "secret" }, DropAuthFailed},
		{"password unasked", "keepalived-v2-auth", v2, func(in *Instance, _ *Envelope) { in.VirtualRouterID = 22 }, DropAuthType},
		{"password missing", "keepalived-v2", v2, func(in *Instance, _ *Envelope) { in.AuthPass = "s3cret" }, DropAuthType},
		{"version 2, another interval", "keepalived-v2", v2, func(in *Instance, _ *Envelope) { in.AdvertiseInterval = 2 * time.Second }, DropIntervalMismatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := golden(t, tc.packet)
			var a Advert
			if r := Parse(p.wire, p.env, &a); r != NotDropped {
				t.Fatalf("dropped as %s", r)
			}
			in, env := tc.instance, p.env
			if tc.change != nil {
				tc.change(&in, &env)
			}
			if got := in.Check(&a, env, self); got != tc.want {
				t.Errorf("dropped as %q, want %q", got, tc.want)
			}
		})
	}
}

func TestInstanceAdvert(t *testing.T) {
	in := Instance{
		VirtualRouterID: 22, Version: 2, Family: IPv4, Priority: 150, AdvertiseInterval: time.Second,
		Addresses: prefixes("10.9.0.102/24"), AuthPass: "s3cret",
	}
	p := golden(t, "keepalived-v2-auth")
	a := in.Advert(150)
	wire, err := a.Append(nil, p.env.Source, p.env.Destination)
	if err != nil {
		t.Fatal(err)
	}
	if string(wire) != string(p.wire) {
		t.Errorf("built %x, want keepalived's %x", wire, p.wire)
	}

	six := Instance{
		VirtualRouterID: 33, Version: 3, Family: IPv6, AdvertiseInterval: time.Second,
		Addresses: prefixes("2001:db8::2/64", "2001:db8::1/64", "fe80::2/64", "fe80::1/64"),
	}
	got, want := fmt.Sprint(six.Advert(1).Addresses), "[fe80::2 fe80::1 2001:db8::2 2001:db8::1]"
	if got != want {
		t.Errorf("IPv6 addresses %s, want the link-local ones first: %s", got, want)
	}
}

func TestMoreAddressesThanAnAdvertHolds(t *testing.T) {
	for _, tc := range []struct {
		family Family
		first  string
		want   int
	}{{IPv4, "10.0.0.1", 255}, {IPv6, "2001:db8::1", 90}} {
		in := Instance{VirtualRouterID: 1, Version: 3, Family: tc.family, AdvertiseInterval: time.Second}
		addr := netip.MustParseAddr(tc.first)
		for range 300 {
			in.Addresses = append(in.Addresses, Address{Prefix: netip.PrefixFrom(addr, addr.BitLen())})
			addr = addr.Next()
		}
		a := in.Advert(100)
		if len(a.Addresses) != tc.want {
			t.Errorf("%s: %d addresses, want %d", tc.family, len(a.Addresses), tc.want)
		}
		wire, err := a.Append(nil, in.Addresses[0].Prefix.Addr(), MulticastAddress(tc.family))
		if err != nil {
			t.Fatal(err)
		}
		if len(wire) > ethernetMTU-ipv6Header {
			t.Errorf("%s: %d bytes do not fit into a frame", tc.family, len(wire))
		}
		if !in.SameAddresses(&a) {
			t.Errorf("%s: its own advert seems to list other addresses", tc.family)
		}
	}
}

func TestSameAddresses(t *testing.T) {
	in := Instance{Version: 3, Family: IPv4, Addresses: prefixes("10.0.0.1/24", "10.0.0.2/32")}
	for _, tc := range []struct {
		addresses []netip.Addr
		want      bool
	}{
		{addrs("10.0.0.1", "10.0.0.2"), true},
		{addrs("10.0.0.2", "10.0.0.1"), true},
		{addrs("10.0.0.1"), false},
		{addrs("10.0.0.1", "10.0.0.3"), false},
		{addrs("10.0.0.1", "10.0.0.2", "10.0.0.3"), false},
	} {
		if got := in.SameAddresses(&Advert{Addresses: tc.addresses}); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.addresses, got, tc.want)
		}
	}
}

// Only an instance without addresses accepts adverts without any.
func TestAdvertWithoutAddresses(t *testing.T) {
	self, other := netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.1")
	for _, version := range []uint8{2, 3} {
		bare := Instance{VirtualRouterID: 31, Version: version, Family: IPv4, Priority: 100, AdvertiseInterval: time.Second}
		excluded, one := bare, bare
		excluded.Addresses = []Address{{Prefix: netip.MustParsePrefix("10.0.0.1/24"), Excluded: true}}
		one.Addresses = append(prefixes("10.0.0.2/24"), excluded.Addresses...)
		sent := excluded.Advert(100)
		packet, err := sent.Append(nil, other, MulticastIPv4)
		if err != nil {
			t.Fatal(err)
		}
		e := Envelope{Family: IPv4, Source: other, Destination: MulticastIPv4, HopLimit: HopLimit}
		var a Advert
		if r := Parse(packet, e, &a); r != NotDropped {
			t.Fatalf("version %d: dropped as %q", version, r)
		}
		for _, tc := range []struct {
			in   Instance
			want DropReason
			same bool
		}{{bare, NotDropped, true}, {excluded, NotDropped, true}, {one, DropCountZero, false}} {
			if r := tc.in.Check(&a, e, self); r != tc.want {
				t.Errorf("version %d, addresses %v: dropped as %q, want %q", version, tc.in.Addresses, r, tc.want)
			}
			if same := tc.in.SameAddresses(&a); same != tc.same {
				t.Errorf("version %d, addresses %v: same %v", version, tc.in.Addresses, same)
			}
		}
		if got := one.Advert(100).Addresses; len(got) != 1 || got[0] != netip.MustParseAddr("10.0.0.2") {
			t.Errorf("version %d: advertises %v", version, got)
		}
	}
}

func TestDropReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := NotDropped; r < DropReasons; r++ {
		name := r.String()
		if seen[name] || (name == "") != (r == NotDropped) {
			t.Errorf("reason %d is called %q", r, name)
		}
		seen[name] = true
	}
	if got := DropReasons.String(); got != "unknown" {
		t.Errorf("beyond the last: %q", got)
	}
}
