package vrrp

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// fault identifies an error of Validate.
type fault struct {
	field string
	index int // -1 for the whole field
}

func TestValidate(t *testing.T) {
	six := func(in *Instance) { in.Family, in.Addresses = IPv6, prefixes("2001:db8::1/64") }
	for _, tc := range []struct {
		name   string
		change func(*Instance)
		want   []fault
	}{
		{"good", func(*Instance) {}, nil},
		{"good IPv6 without a link-local address", six, nil},
		{"good IPv4 extremes", func(in *Instance) {
			in.Priority, in.AdvertiseInterval, in.VirtualRouterID = 255, MaxAdvertiseInterval, 255
		}, nil},
		{"zero value", func(in *Instance) { *in = Instance{} }, []fault{{"name", -1}, {"interface", -1}, {"virtual_router_id", -1}, {"family", -1}, {"version", -1}, {"priority", -1}, {"announce.count", -1}}},
		{"no address", func(in *Instance) { in.Addresses = nil }, nil},
		{"version 2 for IPv6", func(in *Instance) { six(in); in.Version, in.AdvertiseInterval = 2, time.Second }, []fault{{"version", -1}}},
		{"fraction of a centisecond", func(in *Instance) { in.AdvertiseInterval = 125 * time.Millisecond }, []fault{{"advertise_interval", -1}}},
		{"too short", func(in *Instance) { in.AdvertiseInterval = time.Millisecond }, []fault{{"advertise_interval", -1}}},
		{"too long", func(in *Instance) { in.AdvertiseInterval = 40_960 * time.Millisecond }, []fault{{"advertise_interval", -1}}},
		{"version 2, fraction of a second", func(in *Instance) { in.Version, in.AdvertiseInterval = 2, 1500*time.Millisecond }, []fault{{"advertise_interval", -1}}},
		{"version 2, too long", func(in *Instance) { in.Version, in.AdvertiseInterval = 2, 256*time.Second }, []fault{{"advertise_interval", -1}}},
		{"owner that does not preempt", func(in *Instance) { in.Priority, in.Preempt = 255, false }, []fault{{"preempt", -1}}},
		{"preempt delay without preempt", func(in *Instance) { in.Preempt, in.PreemptDelay = false, time.Second }, []fault{{"preempt_delay", -1}}},
		{"negative times", func(in *Instance) { in.PreemptDelay, in.StartupDelay, in.Announce = -1, -1, Announce{1, -1, -1} }, []fault{{"preempt_delay", -1}, {"startup_delay", -1}, {"announce.repeat_after", -1}, {"announce.refresh", -1}}},
		{"addresses", func(in *Instance) {
			in.Addresses = append(prefixes("10.0.0.1/24", "2001:db8::1/64", "224.0.0.1/24", "0.0.0.0/0", "127.0.0.1/8", "10.0.0.1/32"), Address{})
		}, []fault{{"addresses", 1}, {"addresses", 2}, {"addresses", 3}, {"addresses", 4}, {"addresses", 5}, {"addresses", 6}}},
		{"IPv4 in IPv6", func(in *Instance) { in.Family, in.Addresses = IPv6, prefixes("::ffff:10.0.0.1/128") }, []fault{{"addresses", 0}}},
		{"long label", func(in *Instance) { in.Addresses[0].Label = "eth0:0123456789a" }, []fault{{"addresses", 0}}},
		{"IPv6 label", func(in *Instance) { six(in); in.Addresses[0].Label = "eth0:1" }, []fault{{"addresses", 0}}},
		{"attributes of addresses", func(in *Instance) {
			peer := netip.MustParseAddr
			in.Addresses = prefixes("10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24", "10.0.0.4/32", "10.0.0.5/31")
			in.Addresses[0].Preferred = true
			in.Addresses[1].Scope = "nowhere"
			in.Addresses[2].Peer = peer("fd00::1")
			in.Addresses[3].Peer = peer("10.0.0.4")
			in.Addresses[4].Peer, in.Addresses[4].Scope, in.Addresses[4].Broadcast = peer("10.0.0.4"), ScopeHost, netip.IPv4Unspecified()
		}, []fault{{"addresses", 0}, {"addresses", 1}, {"addresses", 2}, {"addresses", 3}}},
		{"IPv4 attributes of an IPv6 address", func(in *Instance) {
			six(in)
			in.Addresses[0].Scope, in.Addresses[0].Broadcast, in.Addresses[0].Deprecated = ScopeLink, netip.IPv4Unspecified(), true
		}, []fault{{"addresses", 0}, {"addresses", 0}}},
		{"multicast", func(in *Instance) { in.MulticastAddress = netip.MustParseAddr("239.1.2.3") }, nil},
		{"multicast of the other family", func(in *Instance) { in.MulticastAddress = netip.MustParseAddr("ff02::12") }, []fault{{"multicast_address", -1}}},
		{"unicast as multicast", func(in *Instance) { in.MulticastAddress = netip.MustParseAddr("10.0.0.9") }, []fault{{"multicast_address", -1}}},
		{"multicast beyond the link", func(in *Instance) { six(in); in.MulticastAddress = netip.MustParseAddr("ff05::12") }, []fault{{"multicast_address", -1}}},
		{"multicast and peers", func(in *Instance) {
			in.MulticastAddress, in.UnicastPeers = netip.MustParseAddr("224.0.0.88"), addrs("10.0.0.9")
		}, []fault{{"multicast_address", -1}}},
		{"source", func(in *Instance) { in.SourceAddress = netip.MustParseAddr("fe80::1") }, []fault{{"source_address", -1}}},
		{"peers", func(in *Instance) {
			in.SourceAddress = ours
			in.UnicastPeers = addrs("10.0.0.6", "10.0.0.5", "10.0.0.6", "224.0.0.18", "::1")
		}, []fault{{"unicast_peers", 1}, {"unicast_peers", 2}, {"unicast_peers", 3}, {"unicast_peers", 4}}},
		{"maximum TTL without peers", func(in *Instance) { in.UnicastMinTTL, in.UnicastMaxTTL = 255, 254 }, []fault{{"unicast_max_ttl", -1}}},
		{"empty TTL range", func(in *Instance) { in.UnicastPeers, in.UnicastMinTTL, in.UnicastMaxTTL = addrs("10.0.0.9"), 253, 252 }, []fault{{"unicast_max_ttl", -1}}},
		{"minimum TTL without peers", func(in *Instance) { in.UnicastMinTTL = 64 }, []fault{{"unicast_min_ttl", -1}}},
		{"adopted intervals", func(in *Instance) { in.AdoptFactor = 5000 }, []fault{{"adopt_interval_factor", -1}}},
		{"password in version 3", func(in *Instance) { in.AuthPass = "secret" }, []fault{{"auth_pass", -1}}},
		{"long password", func(in *Instance) { in.Version, in.AdvertiseInterval, in.AuthPass = 2, time.Second, "ninebytes" }, []fault{{"auth_pass", -1}}},
		{"unknown checksum", func(in *Instance) { in.Checksum = "none" }, []fault{{"checksum", -1}}},
		{"checksum for IPv6", func(in *Instance) { six(in); in.Checksum = ChecksumPacketOnly }, []fault{{"checksum", -1}}},
		{"tracks", func(in *Instance) {
			in.TrackInterfaces = []TrackInterface{{Interface: "eth1", Weight: -253}, {Interface: "eth1"}, {}, {Interface: "eth2", Weight: 254}}
		}, []fault{{"track_interfaces", 1}, {"track_interfaces", 2}, {"track_interfaces", 3}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := v3(tc.change)
			errs := in.Validate()
			var got []fault
			for _, e := range errs {
				got = append(got, fault{e.Field, e.Index})
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got errors %v, want %v\n%v", got, tc.want, errs)
			}
		})
	}
}

// TestValidInstancesBuildAdverts checks that Validate accepts exactly the intervals that Append can encode.
func TestValidInstancesBuildAdverts(t *testing.T) {
	for _, version := range []uint8{2, 3} {
		for d := time.Duration(0); d < 300*time.Second; d += 5 * time.Millisecond {
			in := instance(version, d, nil)
			a := in.Advert(100)
			_, err := a.Append(nil, ours, MulticastIPv4)
			if valid := len(in.Validate()) == 0; valid != (err == nil) {
				t.Fatalf("version %d, interval %s: valid is %v, but Append returned %v", version, d, valid, err)
			}
		}
	}
}

func TestFieldErrorText(t *testing.T) {
	for want, e := range map[string]FieldError{
		"name: must be set":         {"name", -1, "must be set"},
		"addresses[2]: is repeated": {"addresses", 2, "is repeated"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
