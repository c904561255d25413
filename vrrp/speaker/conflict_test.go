package speaker

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// lone returns an engine whose instance has been master for some time.
func lone(t *testing.T, log *bytes.Buffer) *rig {
	g := newRig(t)
	g.logTo(textLog(log, slog.LevelWarn))
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(150))
	g.advance(10 * time.Second)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	return g
}

func (g *rig) wantConflicts(what string, want ...vrrp.ConflictKind) []vrrp.Conflict {
	g.t.Helper()
	open := g.status("v").Conflicts
	var got []vrrp.ConflictKind
	for _, c := range open {
		got = append(got, c.Kind)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		g.t.Errorf("%s: conflicts %v, want %v", what, got, want)
	}
	return open
}

func TestConflictWithAMasterThatDoesNotYield(t *testing.T) {
	var log bytes.Buffer
	g := lone(t, &log)
	for range 20 {
		g.wantConflicts("a network that was cut, before the other yields")
		g.hear(v3(100), 100, "10.9.0.2")
		g.advance(conflictGrace / 20)
	}
	for range 20 {
		g.hear(v3(100), 100, "10.9.0.2")
		g.advance(100 * time.Millisecond)
	}
	open := g.wantConflicts("two masters", vrrp.ConflictMaster)
	if c := open[0]; c.Router != netip.MustParseAddr("10.9.0.2") || c.Priority != 100 || c.Count != 20 || g.now.Sub(c.Since) < time.Second {
		t.Errorf("evidence %+v", c)
	}
	if n := strings.Count(log.String(), "conflict=another-master"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, log.String())
	}
	g.advance(conflictKept + probeInterval)
	g.wantConflicts("the other has gone")
}

// TestConflictWithASlowMaster checks that another master with a longer interval is a conflict.
func TestConflictWithASlowMaster(t *testing.T) {
	var log bytes.Buffer
	g := lone(t, &log)
	other := v3(100)
	other.AdvertiseInterval = 2 * time.Second
	for range 3 {
		g.hear(other, 100, "10.9.0.2")
		g.advance(other.AdvertiseInterval)
	}
	g.wantConflicts("two masters", vrrp.ConflictMaster)
}

// TestConflictWithRefusedAdverts checks that another master whose settings differ is reported, with the setting, and that other
// virtual routers with the same ID are not.
func TestConflictWithRefusedAdverts(t *testing.T) {
	v2 := func() vrrp.Instance {
		in := v3(200)
		in.Version, in.AdvertiseInterval = 2, time.Second
		return in
	}
	var log bytes.Buffer
	g := lone(t, &log)
	for range 3 {
		g.wantConflicts("adverts that the other may have sent before it was reconfigured")
		g.hear(v2(), 200, "10.9.0.2")
		g.advance(time.Second / 2)
	}
	for range 5 {
		g.hear(v2(), 200, "10.9.0.2")
		g.advance(time.Second)
	}
	open := g.wantConflicts("the other version", vrrp.ConflictRefused)
	if c := open[0]; c.Router != netip.MustParseAddr("10.9.0.2") || c.Priority != 200 || c.Reason != "version-mismatch" {
		t.Errorf("evidence %+v", c)
	}
	if n := strings.Count(log.String(), "conflict=refused-adverts"); n != 1 {
		t.Errorf("%d lines, want 1:\n%s", n, log.String())
	}
	g.advance(conflictKept + probeInterval)
	g.wantConflicts("the other has gone")

	foreign := v2()
	foreign.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.200/24")}}
	for range 5 {
		g.hear(v2(), vrrp.PriorityResign, "10.9.0.2")
		g.hear(foreign, 200, "10.9.0.2")
		g.advance(time.Second)
	}
	g.wantConflicts("a router that leaves, and one with other addresses")
}

// TestNoConflictWhenMastershipMoves checks that the former master's last advert, sent as it yields, is not a conflict.
func TestNoConflictWhenMastershipMoves(t *testing.T) {
	var log bytes.Buffer
	g := newRig(t)
	g.logTo(textLog(&log, slog.LevelWarn))
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(150))
	for g.status("v").State != vrrp.Master {
		g.hear(v3(100), 100, "10.9.0.2")
		g.advance(100 * time.Millisecond)
	}
	g.hear(v3(100), 100, "10.9.0.2")
	g.advance(time.Second)
	g.wantConflicts("after a preemption")
	if log.Len() > 0 {
		t.Errorf("log:\n%s", log.String())
	}
}

// TestNoConflictWhenABetterRouterTakesOver checks that the gratuitous ARP of a router that preempts, which can arrive before its
// advert, is not a conflict, and that of a host that does not become master is.
func TestNoConflictWhenABetterRouterTakesOver(t *testing.T) {
	var log bytes.Buffer
	g := lone(t, &log)
	claim := func() {
		g.engine.addressInUse(keyOf(ptr(v3(150))), v3(150).Addresses[0].Prefix.Addr(), net.HardwareAddr{2, 0, 0, 0, 0, 2}, g.now)
	}
	claim()
	g.wantConflicts("before the advert")
	g.hear(v3(200), 200, "10.9.0.2")
	g.advance(100 * time.Millisecond)
	g.expect("v", vrrp.Backup, vrrp.ReasonHigherPriority)
	g.advance(20 * time.Second)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.wantConflicts("after it")
	if strings.Contains(log.String(), "conflict=") {
		t.Errorf("log:\n%s", log.String())
	}
	claim()
	g.advance(conflictGrace / 2)
	claim()
	g.advance(conflictGrace / 2)
	g.wantConflicts("a host that keeps answering", vrrp.ConflictAddress)
	g.advance(conflictKept + probeInterval)
	g.wantConflicts("it has gone")
}

func TestConflictWithAnotherRouterID(t *testing.T) {
	var log bytes.Buffer
	g := lone(t, &log)
	other := v3(100)
	other.VirtualRouterID = 77
	w := g.engine.wires[wireOf(ptr(v3(100)))]
	for range 3 {
		g.engine.receive(w, g.datagram(other, 100, "10.9.0.2"), g.now)
		g.advance(time.Second)
	}
	if c := g.wantConflicts("the same address with another id", vrrp.ConflictRouterID)[0]; c.VirtualRouterID != 77 || !c.Address.IsValid() {
		t.Errorf("evidence %+v", c)
	}
	other.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.222/24")}}
	g.advance(conflictKept + probeInterval)
	g.engine.receive(w, g.datagram(other, 100, "10.9.0.2"), g.now)
	g.wantConflicts("another id with another address")
}

func TestConflictOfHiddenAdverts(t *testing.T) {
	var log bytes.Buffer
	g := lone(t, &log)
	sniffed := sniffedAdvert{keyOf(ptr(v3(150))), netip.MustParseAddr("10.9.0.2"), vrrp.MulticastIPv4, 100, net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	for range 2 * hiddenEvidence {
		g.engine.advertSniffed(sniffed, g.now)
		g.hear(v3(100), 100, "10.9.0.2")
		g.advance(time.Second)
	}
	g.wantConflicts("adverts that are received as well", vrrp.ConflictMaster)
	g.advance(conflictKept + probeInterval)
	for range 2 * hiddenEvidence {
		g.engine.advertSniffed(sniffed, g.now)
		g.advance(time.Second)
	}
	if c := g.wantConflicts("adverts that are not received", vrrp.ConflictHidden)[0]; c.Router != sniffed.source || c.Hardware != "02:00:00:00:00:02" {
		t.Errorf("evidence %+v", c)
	}
}

func TestConflictsAreBoundedAndEndWithMastership(t *testing.T) {
	var log bytes.Buffer
	g := lone(t, &log)
	key := keyOf(ptr(v3(150)))
	if len(g.watched[key]) != 1 {
		t.Errorf("a master watches %v", g.watched[key])
	}
	for i := range 1000 {
		g.engine.addressInUse(key, v3(150).Addresses[0].Prefix.Addr(), net.HardwareAddr{2, 0, 0, 1, byte(i >> 8), byte(i)}, g.now)
	}
	g.wantConflicts("hosts that answer for the first time")
	g.advance(conflictGrace)
	if n := len(g.status("v").Conflicts); n != maxConflicts {
		t.Errorf("%d conflicts", n)
	}
	if n := strings.Count(log.String(), "\n"); n > maxConflicts {
		t.Errorf("%d lines", n)
	}
	// Another master is reported although the list of hosts that answer for its addresses is full.
	for range 3 {
		g.hear(v3(100), 100, "10.9.0.2")
		g.advance(conflictGrace / 2)
	}
	if list := g.status("v").Conflicts; len(list) != maxConflicts+1 || list[maxConflicts].Kind != vrrp.ConflictMaster {
		t.Errorf("%d conflicts, without another master: %+v", len(list), list)
	}
	g.hear(v3(200), 200, "10.9.0.2")
	g.advance(100 * time.Millisecond)
	g.expect("v", vrrp.Backup, vrrp.ReasonHigherPriority)
	g.wantConflicts("a backup")
	if len(g.watched[key]) != 0 {
		t.Errorf("a backup watches %v", g.watched[key])
	}
}

func TestSniffFilters(t *testing.T) {
	ipv6 := func(next, kind byte) []byte {
		b := make([]byte, 80)
		b[ipv6NextHeader], b[ipv6HeaderLen] = next, kind
		return b
	}
	claim := func(text string) []byte {
		b, target := ipv6(58, 136), netip.MustParseAddr(text).As16()
		copy(b[ipv6HeaderLen+neighborAdvToAt:], target[:])
		return b
	}
	six := sniffIPv6([]netip.Addr{netip.MustParseAddr("fd09::100"), netip.MustParseAddr("fe80::100"), netip.MustParseAddr("fd09::a")})
	probe := neighborProbe(net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fd09::100"))
	from := func(last byte) []byte {
		b := arpProbe(net.HardwareAddr{2, 0, 0, 0, 0, 2}, netip.MustParseAddr("10.9.0.1"))
		copy(b[arpSenderAt:], []byte{10, 9, 0, last})
		return b
	}
	var most, more []netip.Addr
	for i := range maxFiltered {
		more = append(more, netip.AddrFrom4([4]byte{10, 9, 1, byte(i)}))
		most = append(most, netip.AddrFrom4([4]byte{10, 9, 0, byte(i)}))
	}
	for _, tc := range []struct {
		name   string
		filter []bpf.Instruction
		packet []byte
		want   bool
	}{
		{"advert", sniffIPv4, ipv4Packet(0, []byte{0x31, 51}), true},
		{"TCP", sniffIPv4, func() []byte { b := ipv4Packet(0, nil); b[9] = 6; return b }(), false},
		{"IPv6 advert", six, ipv6(vrrp.Protocol, 0), true},
		{"neighbour advertisement for an address", six, claim("fd09::a"), true},
		{"neighbour advertisement for another", six, claim("fd09::b"), false},
		{"neighbour advertisement that is cut", six, claim("fd09::a")[:60], false},
		{"neighbour solicitation", six, probe, false},
		{"IPv6 TCP", six, ipv6(6, 136), false},
		{"ARP from one of two addresses", sniffARP(most[5:7]), from(6), true},
		{"ARP from another", sniffARP(most[5:7]), from(7), false},
		{"ARP that is cut", sniffARP(most[5:7]), from(6)[:16], false},
		{"ARP without addresses", sniffARP(nil), from(0), false},
		{"ARP from the last of many", sniffARP(most), from(255), true},
		{"ARP with more addresses than fit", sniffARP(append(more, most[5:]...)), from(6), true},
		{"ARP from another with more addresses than fit", sniffARP(append(more, most[5:]...)), from(4), false},
	} {
		machine, err := bpf.NewVM(tc.filter)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := machine.Run(tc.packet); err != nil || n > 0 != tc.want {
			t.Errorf("%s: %d, %v", tc.name, n, err)
		}
	}
}

func TestNeighborClaims(t *testing.T) {
	own, other := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	second := net.HardwareAddr{2, 0, 0, 0, 0, 3} // of this host's second interface
	w := &watcher{known: map[string]netInterface{
		"eth0": {Index: 2, Name: "eth0", Up: true, Hardware: own},
		"eth1": {Index: 3, Name: "eth1", Up: true, Hardware: second},
	}}
	n := newNeighbors(slog.New(slog.DiscardHandler), w.lookup, w.owns)
	var got []string
	n.answered = func(_ routerKey, a netip.Addr, mac net.HardwareAddr) { got = append(got, a.String()+" "+mac.String()) }
	four, six := netip.MustParsePrefix("10.9.0.100/24"), netip.MustParsePrefix("fd09::100/64")
	n.watch(routerKey{"eth0", vrrp.IPv4, 51}, []placed{{"eth0", four}})
	n.watch(routerKey{"eth0", vrrp.IPv6, 51}, []placed{{"eth0", six}})
	claim := arpProbe(other, four.Addr())
	copy(claim[14:18], four.Addr().AsSlice()) // a sender address makes it a claim
	advert := neighborProbe(other, netip.MustParseAddr("fe80::2"), six.Addr())
	advert[ipv6HeaderLen] = neighborAdvert

	n.readARP(frame{index: 2, mac: other}, arpProbe(other, four.Addr()))
	n.readARP(frame{index: 3, mac: other}, claim)
	ours := slices.Clone(claim)
	copy(ours[8:14], second)
	n.readARP(frame{index: 2, mac: second}, ours)
	n.readIPv6(frame{index: 2, mac: second}, advert)
	n.readIPv6(frame{index: 2, mac: own}, advert)
	n.readIPv6(frame{index: 2, mac: other}, neighborProbe(other, netip.MustParseAddr("fe80::2"), six.Addr()))
	for _, b := range [][]byte{nil, {0}, claim[:20], advert[:50]} {
		n.readARP(frame{index: 2, mac: other}, b)
		n.readIPv4(frame{index: 2, mac: other}, b)
		n.readIPv6(frame{index: 2, mac: other}, b)
	}
	if len(got) != 0 {
		t.Errorf("reported %v of what is no claim", got)
	}
	for range 3 {
		n.readARP(frame{index: 2, mac: other}, claim)
		n.readIPv6(frame{index: 2, mac: other}, advert)
	}
	if want := "[10.9.0.100 02:00:00:00:00:02 fd09::100 02:00:00:00:00:02]"; fmt.Sprint(got) != want {
		t.Errorf("reported %v, want %s, each once", got, want)
	}
}

func FuzzSniffedPackets(f *testing.F) {
	f.Add(arpProbe(net.HardwareAddr{2, 0, 0, 0, 0, 2}, netip.MustParseAddr("10.9.0.100")))
	f.Add(neighborProbe(net.HardwareAddr{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fd09::100")))
	f.Add(ipv4Packet(8, []byte{0x31, 51, 100}))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &watcher{known: map[string]netInterface{"eth0": {Index: 2}}}
		n := newNeighbors(slog.New(slog.DiscardHandler), w.lookup, w.owns)
		n.answered, n.advertised = func(routerKey, netip.Addr, net.HardwareAddr) {}, func(sniffedAdvert) {}
		n.watch(routerKey{"eth0", vrrp.IPv4, 51}, []placed{{"eth0", netip.MustParsePrefix("10.9.0.100/24")}})
		n.readARP(frame{index: 2, mac: nil}, b)
		n.readIPv4(frame{index: 2, mac: nil}, b)
		n.readIPv6(frame{index: 2, mac: nil}, b)
	})
}

// TestProbePace checks that each address is probed every probeInterval, unless there are too many, and that the speaker is not
// woken for each of them.
func TestProbePace(t *testing.T) {
	for _, c := range []struct {
		addresses, probes int
		gap               time.Duration
	}{
		{1, 1, 10 * time.Second}, {4, 1, 2500 * time.Millisecond}, {10, 1, time.Second}, {11, 2, time.Second},
		{255, 26, time.Second}, {10_000, maxProbes, time.Second},
	} {
		if gap, probes := probePace(c.addresses); gap != c.gap || probes != c.probes {
			t.Errorf("%d addresses: %d probes every %v, want %d every %v", c.addresses, probes, gap, c.probes, c.gap)
		}
	}
}
