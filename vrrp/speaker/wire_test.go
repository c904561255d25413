package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestHostAnnouncements(t *testing.T) {
	n := newLAN(t)
	if err := n.b.Sysctl("net.ipv6.conf.eth0.forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	sentByA, sentByB := startCapture(t, n.a, "eth0"), startCapture(t, n.b, "eth0")
	a, b := newStation(t, n.a), newStation(t, n.b)
	for _, s := range []*station{a, b} {
		v4, v6 := instance(3, vrrp.IPv4, 200, 100*time.Millisecond), instance(3, vrrp.IPv6, 200, 100*time.Millisecond)
		v6.Name = "v6"
		for _, in := range []*vrrp.Instance{&v4, &v6} {
			in.Announce = vrrp.Announce{Count: 3, RepeatAfter: 1500 * time.Millisecond}
			if s == b {
				in.VirtualRouterID = 52
				p := in.Addresses[0].Prefix
				in.Addresses[0].Prefix = netip.PrefixFrom(p.Addr().Next(), p.Bits())
			}
		}
		s.want(v4, v6)
		s.awaitState("v", vrrp.Master)
		s.awaitState("v6", vrrp.Master)
	}
	for _, s := range []*station{a, b} {
		// Rounds at 0, 0.1 and 1.2 s; then a burst at 1.5 s.
		s.report("v", "announced four times", func(st vrrp.Status) bool { return st.AnnouncesSent >= 8 })
		s.report("v6", "announced four times", func(st vrrp.Status) bool { return st.AnnouncesSent >= 4 })
	}
	for _, c := range []struct {
		s      *station
		sent   *capture
		v4, v6 string
		router bool
	}{{a, sentByA, "10.9.0.100", "fd09::100", false}, {b, sentByB, "10.9.0.101", "fd09::101", true}} {
		mac := macOf(t, c.s.host, "eth0")
		var ops []uint16
		var rounds []time.Time
		nas := 0
		for _, f := range c.sent.all() {
			switch {
			case f.mac != mac:
			case f.arpOp != 0 && f.announc == netip.MustParseAddr(c.v4):
				ops = append(ops, f.arpOp)
				if f.arpOp == 1 {
					rounds = append(rounds, f.at)
				}
			case f.na != nil && f.announc == netip.MustParseAddr(c.v6):
				nas++
				if !f.na.Override || f.na.Router != c.router || f.ttl != 255 || len(f.na.Options) != 1 {
					t.Errorf("neighbour advertisement %+v, hop limit %d", f.na, f.ttl)
				}
			}
		}
		if len(ops) < 8 || !slices.Equal(ops[:4], []uint16{1, 2, 1, 2}) {
			t.Errorf("ARP operations of %s: %v", c.v4, ops)
		}
		if nas < 4 {
			t.Errorf("%d neighbour advertisements of %s", nas, c.v6)
		}
		if len(rounds) >= 3 && rounds[2].Sub(rounds[1]) < time.Second {
			t.Errorf("rounds of announcements only %s apart", rounds[2].Sub(rounds[1]))
		}
	}
}

func TestHostUnicastAndAuth(t *testing.T) {
	n := newLAN(t)
	a, b := newStation(t, n.a), newStation(t, n.b)
	peers := func(in vrrp.Instance, addrs ...string) vrrp.Instance {
		for _, p := range addrs {
			in.UnicastPeers = append(in.UnicastPeers, netip.MustParseAddr(p))
		}
		return in
	}
	sets := func(priority uint8, peer4, peer6, pass string) []vrrp.Instance {
		u4 := peers(instance(3, vrrp.IPv4, priority, 100*time.Millisecond), peer4, "10.9.0.77")
		u6 := peers(instance(3, vrrp.IPv6, priority, 100*time.Millisecond), peer6)
		auth := instance(2, vrrp.IPv4, priority, time.Second)
		u6.Name, auth.Name = "u6", "auth"
		auth.VirtualRouterID, auth.AuthPass = 60, secret.Text(pass)
		auth.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.160/24"), Label: "eth0:vip"}}
		return []vrrp.Instance{u4, u6, auth}
	}
	a.want(sets(200, "10.9.0.2", "fd09::2", "secret")...)
	for _, name := range []string{"v", "u6", "auth"} {
		a.awaitState(name, vrrp.Master)
	}
	b.want(sets(100, "10.9.0.1", "fd09::1", "secret")...)
	for _, name := range []string{"v", "u6", "auth"} {
		b.await(name, "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	}
	eventually(t, "the address has its label", func() bool {
		addrs, _ := n.a.Netlink().AddrList(nil, unix.AF_INET)
		return slices.ContainsFunc(addrs, func(x netlink.Addr) bool { return x.Label == "eth0:vip" && x.IP.String() == "10.9.0.160" })
	})
	// A different password: the adverts are dropped with that reason, and b also becomes master.
	b.want(sets(100, "10.9.0.1", "fd09::1", "other")...)
	b.report("auth", "dropping", func(s vrrp.Status) bool { return s.Dropped["auth-failed"] > 0 && s.State == vrrp.Master })
	a.report("auth", "dropping", func(s vrrp.Status) bool { return s.Dropped["auth-failed"] > 0 })
	a.stop()
	for _, name := range []string{"v", "u6"} {
		if st := b.awaitState(name, vrrp.Master); st.Reason != string(vrrp.ReasonPriorityZero) {
			t.Errorf("%s became master for reason %q", name, st.Reason)
		}
	}
}

// TestHostAuthHMACRollout introduces authentication on a running pair in three reloads, then forges an advert, then changes one key.
func TestHostAuthHMACRollout(t *testing.T) {
	n := newLAN(t)
	a, b := newStation(t, n.a), newStation(t, n.b)
	key := vrrp.AuthKey{ID: 7, Secret: secret.Text(strings.Repeat("5a", vrrp.MinAuthKey))}
	sets := func(priority uint8, mode vrrp.AuthMode, keys ...vrrp.AuthKey) []vrrp.Instance {
		v4, v6 := instance(3, vrrp.IPv4, priority, 100*time.Millisecond), instance(3, vrrp.IPv6, priority, 100*time.Millisecond)
		v6.Name = "v6"
		if len(keys) > 0 {
			settings := &vrrp.AuthHMAC{Keys: keys, ActiveKey: keys[0].ID, AntiReplay: vrrp.ReplayByTime, TimeWindow: 5 * time.Second, Mode: mode}
			v4.AuthHMAC, v6.AuthHMAC = settings, settings
		}
		return []vrrp.Instance{v4, v6}
	}
	a.want(sets(200, "")...)
	b.want(sets(100, "")...)
	for _, name := range []string{"v", "v6"} {
		a.awaitState(name, vrrp.Master)
		b.await(name, "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	}
	frames := startCapture(t, n.b, "eth0")
	received := func(of *station, name string) uint64 {
		return of.report(name, "counted", func(vrrp.Status) bool { return true }).AdvertsReceived
	}
	for _, mode := range []vrrp.AuthMode{vrrp.AuthReceiveOnly, vrrp.AuthPermissive, vrrp.AuthEnforce} {
		b.want(sets(100, mode, key)...) // the receiver first; any order works
		a.want(sets(200, mode, key)...)
		for _, name := range []string{"v", "v6"} {
			before := received(b, name)
			b.report(name, "adverts with mode "+string(mode), func(s vrrp.Status) bool { return s.AdvertsReceived > before+3 })
		}
	}
	for _, of := range []*station{a, b} {
		for _, name := range []string{"v", "v6"} {
			s := of.report(name, "counted", func(vrrp.Status) bool { return true })
			if len(s.Dropped) > 0 || s.Transitions > 2 {
				t.Errorf("%s: dropped %v, %d transitions during the rollout", name, s.Dropped, s.Transitions)
			}
		}
	}
	for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		frames.await(t, 0, "a signed advert", func(s seen) bool { return s.advert != nil && s.advert.Signed && s.advert.Family == family })
	}
	sendAdvert(t, n.observer, instance(3, vrrp.IPv4, 254, 100*time.Millisecond), 255, nil)
	for _, of := range []*station{a, b} {
		of.report("v", "counting auth-missing", func(s vrrp.Status) bool { return s.Dropped["auth-missing"] == 1 })
	}
	if s := a.status("v"); s.State != vrrp.Master {
		t.Errorf("a forged advert of priority 254 made the master %s", s.State)
	}
	b.want(sets(100, vrrp.AuthEnforce, vrrp.AuthKey{ID: 7, Secret: secret.Text(strings.Repeat("a5", vrrp.MinAuthKey))})...)
	b.report("v", "dropping", func(s vrrp.Status) bool { return s.Dropped["auth-failed"] > 0 && s.State == vrrp.Master })
}

func TestHostMalformedPackets(t *testing.T) {
	n := newLAN(t)
	a := newStation(t, n.a)
	in4, in6 := instance(3, vrrp.IPv4, 100, 100*time.Millisecond), instance(3, vrrp.IPv6, 100, 100*time.Millisecond)
	in6.Name = "v6"
	a.want(in4, in6)
	a.awaitState("v", vrrp.Master)
	a.awaitState("v6", vrrp.Master)

	for _, c := range []struct {
		in    vrrp.Instance
		at    func(vrrp.Status) map[string]uint64
		ttl   int
		want  string
		wreck func([]byte) []byte
	}{
		{in4, dropsOf, 255, "truncated", func(b []byte) []byte { return b[:7] }},
		{in4, dropsOf, 255, "version", func(b []byte) []byte { b[0] = 0x41; return b }},
		{in4, dropsOf, 255, "type", func(b []byte) []byte { b[0] = 0x32; return b }},
		{bare(in4), dropsOf, 255, "count-zero", nil},
		{in4, dropsOf, 255, "length", func(b []byte) []byte { return append(b, make([]byte, 100)...) }},
		{in4, dropsOf, 255, "checksum", func(b []byte) []byte { b[6]++; return b }},
		{in4, dropsOf, 254, "ttl", nil},
		{in6, dropsOf, 255, "truncated", func(b []byte) []byte { return b[:7] }},
		{in6, dropsOf, 255, "version", func(b []byte) []byte { b[0] = 0x21; return b }},
		{in6, dropsOf, 255, "checksum", func(b []byte) []byte { b[7]++; return b }},
		{in6, dropsOf, 64, "ttl", nil},
		{otherID(in4), interfaceDropsOf, 255, "vrid-unknown", nil},
		{otherID(in6), interfaceDropsOf, 255, "vrid-unknown", nil},
	} {
		t.Run(c.in.Family.String()+" "+c.want, func(t *testing.T) {
			sendAdvert(t, n.observer, c.in, c.ttl, c.wreck)
			a.report(c.in.Name, "counting "+c.want, func(s vrrp.Status) bool { return c.at(s)[c.want] == 1 })
		})
	}
	// A version 2 advert for the version 3 instance, then a valid one.
	v2 := in4
	v2.Version, v2.AdvertiseInterval = 2, time.Second
	sendAdvert(t, n.observer, v2, 255, nil)
	a.report("v", "counting version-mismatch", func(s vrrp.Status) bool { return s.Dropped["version-mismatch"] == 1 })
	if st := a.status("v"); st.State != vrrp.Master || st.Transitions != 1 {
		t.Errorf("junk had an effect: %+v", st)
	}
	in4.Priority = 150
	sendAdvert(t, n.observer, in4, 255, nil)
	a.awaitState("v", vrrp.Backup)
}

func dropsOf(s vrrp.Status) map[string]uint64          { return s.Dropped }
func interfaceDropsOf(s vrrp.Status) map[string]uint64 { return s.InterfaceDropped }

func otherID(in vrrp.Instance) vrrp.Instance {
	in.VirtualRouterID = 99
	return in
}

// sendAdvert sends an instance's advert from a host, after damaging it.
func sendAdvert(t testing.TB, h *lab.Node, in vrrp.Instance, ttl int, wreck func([]byte) []byte) {
	t.Helper()
	domain, source := unix.AF_INET, netip.MustParseAddr("10.9.0.9")
	if in.Family == vrrp.IPv6 {
		domain, source = unix.AF_INET6, linkLocalOf(t, h)
	}
	a := in.Advert(in.Priority)
	data, err := a.Append(nil, source, vrrp.MulticastAddress(in.Family))
	if err != nil {
		t.Fatal(err)
	}
	if wreck != nil {
		data = wreck(data)
	}
	link, err := h.Link("eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Do(func() error {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, vrrp.Protocol)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		level, option := unix.IPPROTO_IP, unix.IP_MULTICAST_TTL
		if in.Family == vrrp.IPv6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS
		}
		if err := unix.SetsockoptInt(fd, level, option, ttl); err != nil {
			return err
		}
		_, err = new(sender).send(fd, []*outgoing{newOutgoing(data, source, vrrp.MulticastAddress(in.Family), link.Attrs().Index)})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func linkLocalOf(t testing.TB, h *lab.Node) netip.Addr {
	t.Helper()
	for _, p := range prefixes(t, h, "eth0") {
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	t.Fatal("no link-local address")
	return netip.Addr{}
}
