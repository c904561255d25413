package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	six := func(in *Instance) { in.Family, in.Addresses = IPv6, prefixes("2001:db8::1/64") }
	for _, tc := range []struct {
		name   string
		change func(*Instance)
		want   string // errors, joined by "; "
	}{
		{"good", func(*Instance) {}, ""},
		{"good IPv6 without a link-local address", six, ""},
		{"good IPv4 extremes", func(in *Instance) {
			in.Priority, in.AdvertiseInterval, in.VirtualRouterID = 255, MaxAdvertiseInterval, 255
		}, ""},
		{"nothing at all", func(in *Instance) { *in = Instance{} }, "name: an instance needs a name; interface: an instance needs an interface; " +
			"virtual_router_id: must be 1 to 255; family: must be 4 or 6; version: must be 2 or 3; " +
			"priority: must be 1 to 254, or 255 for the owner of the addresses; 0 is reserved for a master that gives up; " +
			"announce.count: must be at least 1"},
		{"no address", func(in *Instance) { in.Addresses = nil }, ""},
		{"version 2 for IPv6", func(in *Instance) { six(in); in.Version, in.AdvertiseInterval = 2, time.Second }, "version: version 2 is for IPv4 only: IPv6 needs version 3"},
		{"half a centisecond", func(in *Instance) { in.AdvertiseInterval = 125 * time.Millisecond }, "advertise_interval: 125ms is not possible: version 3 allows only multiples of 10ms: write 120ms or 130ms"},
		{"too short", func(in *Instance) { in.AdvertiseInterval = time.Millisecond }, "advertise_interval: 1ms is not possible: version 3 allows 10ms to 40.95s"},
		{"too long", func(in *Instance) { in.AdvertiseInterval = 40_960 * time.Millisecond }, "advertise_interval: 40.96s is not possible: version 3 allows 10ms to 40.95s"},
		{"version 2, part of a second", func(in *Instance) { in.Version, in.AdvertiseInterval = 2, 1500*time.Millisecond }, "advertise_interval: 1.5s is not possible: version 2 allows only multiples of 1s: write 1s or 2s"},
		{"version 2, too long", func(in *Instance) { in.Version, in.AdvertiseInterval = 2, 256*time.Second }, "advertise_interval: 4m16s is not possible: version 2 allows 1s to 4m15s"},
		{"owner that does not preempt", func(in *Instance) { in.Priority, in.Preempt = 255, false }, "preempt: an owner (priority 255) always preempts: use a priority up to 254, or remove preempt"},
		{"delay of nothing", func(in *Instance) { in.Preempt, in.PreemptDelay = false, time.Second }, "preempt_delay: has no effect with preempt = false: remove one of them"},
		{"negative times", func(in *Instance) { in.PreemptDelay, in.StartupDelay, in.Announce = -1, -1, Announce{1, -1, -1} },
			"preempt_delay: must not be negative; startup_delay: must not be negative; announce.repeat_after: must not be negative; announce.refresh: must not be negative"},
		{"addresses", func(in *Instance) {
			in.Addresses = append(prefixes("10.0.0.1/24", "2001:db8::1/64", "224.0.0.1/24", "0.0.0.0/0", "127.0.0.1/8", "10.0.0.1/32"), Address{})
		}, "addresses[1]: 2001:db8::1 is not an ipv4 address: each family needs its own instance; " +
			"addresses[2]: 224.0.0.1 cannot be a virtual address; addresses[3]: 0.0.0.0 cannot be a virtual address; " +
			"addresses[4]: 127.0.0.1 cannot be a virtual address; addresses[5]: 10.0.0.1 is listed twice; " +
			"addresses[6]: is not an address with a prefix length, as in 192.0.2.1/24"},
		{"IPv4 in IPv6", func(in *Instance) { in.Family, in.Addresses = IPv6, prefixes("::ffff:10.0.0.1/128") }, "addresses[0]: ::ffff:10.0.0.1 cannot be a virtual address"},
		{"long label", func(in *Instance) { in.Addresses[0].Label = "eth0:0123456789a" }, `addresses[0]: label "eth0:0123456789a" is longer than 15 bytes`},
		{"IPv6 label", func(in *Instance) { six(in); in.Addresses[0].Label = "eth0:1" }, "addresses[0]: label: only IPv4 addresses have labels"},
		{"source", func(in *Instance) { in.SourceAddress = netip.MustParseAddr("fe80::1") }, "source_address: fe80::1 is not an ipv4 address that packets can be sent from"},
		{"peers", func(in *Instance) {
			in.SourceAddress = ours
			in.UnicastPeers = addrs("10.0.0.6", "10.0.0.5", "10.0.0.6", "224.0.0.18", "::1")
		}, "unicast_peers[1]: 10.0.0.5 is this node's own source_address; unicast_peers[2]: 10.0.0.6 is listed twice; " +
			"unicast_peers[3]: 224.0.0.18 is not an ipv4 unicast address; unicast_peers[4]: ::1 is not an ipv4 unicast address"},
		{"most TTL without peers", func(in *Instance) { in.UnicastMinTTL, in.UnicastMaxTTL = 255, 254 }, "unicast_max_ttl: has no effect without unicast_peers: multicast adverts always have a TTL of 255"},
		{"an empty range of TTL", func(in *Instance) { in.UnicastPeers, in.UnicastMinTTL, in.UnicastMaxTTL = addrs("10.0.0.9"), 253, 252 },
			"unicast_max_ttl: must not be less than unicast_min_ttl, which is 253"},
		{"least TTL without peers", func(in *Instance) { in.UnicastMinTTL = 64 }, "unicast_min_ttl: has no effect without unicast_peers: multicast adverts always have a TTL of 255"},
		{"adopted intervals", func(in *Instance) { in.AdoptFactor = 5000 }, "adopt_interval_factor: must be 1 to 4095"},
		{"password in version 3", func(in *Instance) { in.AuthPass = "secret" }, "auth_pass: applies to version 2 only: with version 3 use auth_hmac"},
		{"long password", func(in *Instance) { in.Version, in.AdvertiseInterval, in.AuthPass = 2, time.Second, "ninebytes" }, "auth_pass: must be at most 8 bytes; keepalived truncates longer ones"},
		{"unknown checksum", func(in *Instance) { in.Checksum = "none" }, `checksum: "none" is unknown: write "without-pseudo" or remove it`},
		{"checksum for IPv6", func(in *Instance) { six(in); in.Checksum = ChecksumPacketOnly }, "checksum: applies to version 3 over IPv4 only"},
		{"tracks", func(in *Instance) {
			in.TrackInterfaces = []TrackInterface{{Interface: "eth1", Weight: -253}, {Interface: "eth1"}, {}, {Interface: "eth2", Weight: 254}}
		}, "track_interfaces[1]: eth1 is tracked twice; track_interfaces[2]: must name an interface; track_interfaces[3]: weight 254 is out of range: -253 to 253"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := v3(tc.change)
			var got []string
			for _, e := range in.Validate() {
				got = append(got, e.Error())
			}
			if s := strings.Join(got, "; "); s != tc.want {
				t.Errorf("got  %s\nwant %s", s, tc.want)
			}
		})
	}
}

// TestValidInstancesBuildAdverts ties Validate to the codec: what it lets through, the wire can carry.
func TestValidInstancesBuildAdverts(t *testing.T) {
	for _, version := range []uint8{2, 3} {
		for d := time.Duration(0); d < 300*time.Second; d += 5 * time.Millisecond {
			in := instance(version, d, nil)
			a := in.Advert(100)
			_, err := a.Append(nil, ours, MulticastIPv4)
			if valid := len(in.Validate()) == 0; valid != (err == nil) {
				t.Fatalf("version %d, interval %s: valid %v, but building says %v", version, d, valid, err)
			}
		}
	}
}
