package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// side is the configuration of one of two routers.
type side struct {
	version  uint8
	unicast  bool
	peer     string // instead of the other router
	pass     string
	interval time.Duration
	checksum vrrp.ChecksumMode
	vmac     bool
	xmitBase bool // with vmac
}

// pairing is a virtual router with one of our routers and one of keepalived's.
type pairing struct {
	name         string
	family       vrrp.Family
	noPreempt    bool
	ours, theirs side
	drop         vrrp.DropReason // of keepalived's adverts, if the settings do not match
	complaint    string          // keepalived's message about our adverts
}

// pairings are matching settings: any two of version and family, transport, password, preemption and different intervals
// occur together. Two combinations are missing: with different intervals, preempt = false does not prevent the faster
// router from taking over when it starts, because it has not received the longer interval yet. And keepalived has
// v3_checksum_as_v2 since 2.2.8.
func pairings() []pairing {
	const fast, usual, slow = 100 * time.Millisecond, 250 * time.Millisecond, time.Second
	with := func(name string, family vrrp.Family, noPreempt bool, ours, theirs side) pairing {
		return pairing{name: name, family: family, noPreempt: noPreempt, ours: ours, theirs: theirs}
	}
	same := func(name string, family vrrp.Family, noPreempt bool, s side) pairing {
		return with(name, family, noPreempt, s, s)
	}
	vmac := side{version: 3, interval: usual, vmac: true}
	v3 := func(unicast bool, interval time.Duration) side {
		return side{version: 3, unicast: unicast, interval: interval}
	}
	return []pairing{
		same("v2", vrrp.IPv4, false, side{version: 2, interval: slow}),
		same("v2-password-nopreempt", vrrp.IPv4, true, side{version: 2, pass: "s3cret", interval: slow}),
		same("v2-unicast-password", vrrp.IPv4, false, side{version: 2, unicast: true, pass: "8-bytes_", interval: slow}),
		same("v2-unicast-nopreempt", vrrp.IPv4, true, side{version: 2, unicast: true, interval: slow}),
		same("v3-ipv4", vrrp.IPv4, false, v3(false, usual)),
		same("v3-ipv4-unicast-nopreempt", vrrp.IPv4, true, v3(true, usual)),
		with("v3-ipv4-ours-faster", vrrp.IPv4, false, v3(false, fast), v3(false, slow)),
		with("v3-ipv4-unicast-ours-slower", vrrp.IPv4, false, v3(true, slow), v3(true, fast)),
		same("v3-ipv6-nopreempt", vrrp.IPv6, true, v3(false, usual)),
		same("v3-ipv6-unicast", vrrp.IPv6, false, v3(true, usual)),
		with("v3-ipv6-ours-slower", vrrp.IPv6, false, v3(false, slow), v3(false, fast)),
		with("v3-ipv6-unicast-ours-faster", vrrp.IPv6, false, v3(true, fast), v3(true, slow)),
		same("v3-ipv4-vmac", vrrp.IPv4, false, vmac),
		same("v3-ipv6-vmac-nopreempt", vrrp.IPv6, true, vmac),
		with("v3-ipv4-ours-vmac", vrrp.IPv4, true, vmac, v3(false, usual)),
		with("v3-ipv4-theirs-vmac", vrrp.IPv4, false, v3(false, usual), vmac),
		same("v2-unicast-vmac-base", vrrp.IPv4, false, side{version: 2, unicast: true, interval: slow, vmac: true, xmitBase: true}),
		same("v3-ipv6-vmac-base", vrrp.IPv6, false, side{version: 3, interval: usual, vmac: true, xmitBase: true}),
	}
}

// instance returns the i-th pairing's virtual router as configured on one of the sides.
func (p pairing) instance(i int, s side, priority uint8, self, peer string) vrrp.Instance {
	in := instance(s.version, p.family, priority, s.interval)
	in.Name, in.VirtualRouterID, in.Preempt = p.name, uint8(i+1), !p.noPreempt
	in.AuthPass, in.Checksum, in.AdoptFactor = secret.Text(s.pass), s.checksum, vrrp.AdoptFactorMax
	in.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix(fmt.Sprintf("10.9.0.%d/24", 101+i))}}
	if p.family == vrrp.IPv6 {
		in.Addresses = []vrrp.Address{ // keepalived requires the first to be link-local
			{Prefix: netip.MustParsePrefix(fmt.Sprintf("fe80::1:%x/64", 1+i))},
			{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd09::1:%x/64", 1+i))},
		}
	}
	if s.vmac {
		in.VMAC = &vrrp.VMAC{Interface: fmt.Sprintf("vrrp.%d", i+1), XmitBase: s.xmitBase}
	}
	if s.unicast {
		if s.peer != "" {
			peer = s.peer
		}
		in.SourceAddress, in.UnicastPeers = netip.MustParseAddr(self), []netip.Addr{netip.MustParseAddr(peer)}
		in.UnicastMinTTL = vrrp.HopLimit
	}
	return in
}

// corner is one of the two routers of a match.
type corner struct {
	host              *lab.Node
	instances         []vrrp.Instance
	start, stop, kill func()
	awaitState        func(instance string, state vrrp.State)
}

// match is our router and keepalived's on one network, with all pairings.
type match struct {
	*lan
	list       []pairing
	capture    *capture // at the backup, because the bridge does not forward unicast to other ports
	us, them   *corner
	station    *station
	keepalived *keepalived
}

func newMatch(t *testing.T, list []pairing, ourPriority, theirPriority uint8) *match {
	m := &match{lan: newLAN(t), list: list}
	m.us, m.them = &corner{host: m.a}, &corner{host: m.b}
	backup := m.us.host
	if ourPriority > theirPriority {
		backup = m.them.host
	}
	m.capture = startCapture(t, backup, "eth0")
	for i, p := range list {
		a, b := "10.9.0.1", "10.9.0.2"
		if p.family == vrrp.IPv6 {
			a, b = "fd09::1", "fd09::2"
		}
		m.us.instances = append(m.us.instances, p.instance(i, p.ours, ourPriority, a, b))
		m.them.instances = append(m.them.instances, p.instance(i, p.theirs, theirPriority, b, a))
	}
	m.us.start = func() {
		if m.station != nil {
			m.station.start("fresh")
			return
		}
		m.station = newStation(t, m.a)
		m.station.want(m.us.instances...)
		m.us.stop, m.us.kill = func() { m.station.stop() }, m.station.kill
		m.us.awaitState = func(instance string, state vrrp.State) { m.station.awaitState(instance, state) }
	}
	m.them.start = func() {
		k := startKeepalived(t, m.b, true, m.them.instances...)
		m.them.stop = func() { k.stop(); k.checkLog() }
		m.them.kill = func() { k.kill(); k.checkLog() }
		m.keepalived, m.them.awaitState = k, k.awaitState
	}
	return m
}

func (m *match) other(c *corner) *corner {
	if c == m.us {
		return m.them
	}
	return m.us
}

// awaitMasters waits until each pairing's master is the one returned by masterOf and the other router is its backup, and
// the addresses and adverts agree with that.
func (m *match) awaitMasters(t *testing.T, masterOf func(pairing) *corner) {
	t.Helper()
	for _, p := range m.list {
		// Check the new master first: a killed router's last reported state does not change.
		m.other(masterOf(p)).awaitState(p.name, vrrp.Backup)
		masterOf(p).awaitState(p.name, vrrp.Master)
	}
	for i, p := range m.list {
		m.awaitAddresses(t, i, masterOf(p).host, true)
		m.awaitAddresses(t, i, m.other(masterOf(p)).host, false)
	}
	m.awaitAdverts(t, masterOf)
}

// awaitAddresses waits until a host has the addresses of the i-th pairing, or has none of them.
func (m *match) awaitAddresses(t *testing.T, i int, h *lab.Node, want bool) {
	t.Helper()
	c, iface := m.us, "eth0"
	if h == m.them.host {
		c = m.them
	}
	if v := c.instances[i].VMAC; v != nil {
		iface = v.Interface
	}
	for _, a := range m.us.instances[i].Addresses {
		eventually(t, fmt.Sprintf("%s has %s of %s: %t", h.Name(), a.Prefix, m.list[i].name, want),
			func() bool { return has(t, h, iface, a.Prefix.String()) == want })
	}
}

// awaitAdverts waits for two adverts of each pairing from its master, without one of the other router between them. A
// router that starts with a shorter interval than the master's may take over until it receives the master's advert.
func (m *match) awaitAdverts(t *testing.T, masterOf func(pairing) *corner) {
	t.Helper()
	const enough = 2
	priorities, got := map[uint8]uint8{}, map[uint8]int{} // both routers may have the same MAC address, but not the same priority
	for i, p := range m.list {
		if c := masterOf(p); c != nil {
			priorities[m.us.instances[i].VirtualRouterID] = c.instances[i].Priority
		}
	}
	began, done := time.Now(), 0
	defer func() {
		if done < len(priorities) {
			t.Logf("adverts by virtual router: %v", got)
		}
	}()
	m.capture.await(t, m.capture.mark(), "two adverts of each master", func(s seen) bool {
		if s.advert == nil || s.at.Before(began) || priorities[s.advert.VirtualRouterID] == 0 {
			return false
		}
		id, before := s.advert.VirtualRouterID, got[s.advert.VirtualRouterID]
		got[id]++
		if s.advert.Priority != priorities[id] {
			got[id] = 0
		}
		if before < enough && got[id] == enough {
			done++
		}
		if before >= enough && got[id] == 0 {
			done--
		}
		return done == len(priorities)
	})
}

// checkDrops fails the test if we dropped adverts for reasons other than those of the pairings.
func (m *match) checkDrops(t *testing.T) {
	t.Helper()
	for _, p := range m.list {
		st := m.station.report(p.name, "known", func(vrrp.Status) bool { return true })
		if p.drop != vrrp.NotDropped {
			if len(st.Dropped) != 1 || st.Dropped[p.drop.String()] == 0 {
				t.Errorf("%s: dropped %v, want %s", p.name, st.Dropped, p.drop)
			}
			continue
		}
		if len(st.Dropped) > 0 || len(st.InterfaceDropped) > 0 || st.AddressMismatches > 0 {
			t.Errorf("%s: dropped %v %v, with other addresses %d", p.name, st.Dropped, st.InterfaceDropped, st.AddressMismatches)
		}
	}
}

// checkHandOver fails the test if the backup took over from a stopped master only when its timer expired.
func (m *match) checkHandOver(t *testing.T, mark int, master *corner) {
	t.Helper()
	for i, in := range master.instances {
		advert := func(priority uint8) func(seen) bool {
			return func(s seen) bool {
				return s.advert != nil && s.advert.VirtualRouterID == in.VirtualRouterID && s.advert.Priority == priority
			}
		}
		zero := m.capture.await(t, mark, in.Name+" leaves", advert(vrrp.PriorityResign))
		first := m.capture.await(t, mark, in.Name+" is taken over", advert(m.other(master).instances[i].Priority))
		// The timer runs for three intervals plus the skew time, starting at an advert at most one interval ago.
		timer := 2*in.AdvertiseInterval + vrrp.SkewTime(in.Version, 100, in.AdvertiseInterval)
		if took := first.at.Sub(zero.at); took >= timer {
			t.Errorf("%s: taken over after %s", in.Name, took)
		}
	}
}

// TestHostKeepalivedMatrix runs each pairing with either router as the master, which is stopped, killed or cut off, and
// then comes back.
func TestHostKeepalivedMatrix(t *testing.T) {
	for _, c := range []struct {
		master, ending string
	}{
		{"lvs-ha", "stop"}, {"lvs-ha", "kill"}, {"lvs-ha", "link cut"},
		{"keepalived", "stop"}, {"keepalived", "kill"}, {"keepalived", "link cut"},
	} {
		t.Run(c.master+" "+c.ending, func(t *testing.T) {
			ours, theirs := uint8(100), uint8(200)
			if c.master == "lvs-ha" {
				ours, theirs = theirs, ours
			}
			m := newMatch(t, pairings(), ours, theirs)
			t.Parallel()
			m.play(t, c.ending)
		})
	}
}

func (m *match) play(t *testing.T, ending string) {
	master, backup := m.us, m.them
	if m.us.instances[0].Priority < m.them.instances[0].Priority {
		master, backup = backup, master
	}
	master.start()
	for _, p := range m.list {
		master.awaitState(p.name, vrrp.Master)
	}
	backup.start()
	m.awaitMasters(t, func(pairing) *corner { return master })
	m.checkDrops(t)

	mark, reason := m.capture.mark(), vrrp.ReasonMasterDownTimer
	switch ending {
	case "stop":
		master.stop()
		reason = vrrp.ReasonPriorityZero
	case "kill":
		master.kill()
	case "link cut":
		if err := m.lab.Unplug(master.host.Name(), "eth0"); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range m.list {
		backup.awaitState(p.name, vrrp.Master)
		m.awaitAddresses(t, i, backup.host, true)
		if ending == "stop" {
			m.awaitAddresses(t, i, master.host, false)
		}
		if backup == m.us {
			if st := m.station.status(p.name); st.Reason != string(reason) {
				t.Errorf("%s: became master for reason %q", p.name, st.Reason)
			}
		}
	}
	if ending == "stop" {
		m.checkHandOver(t, mark, master)
	}
	m.awaitAdverts(t, func(p pairing) *corner {
		if ending == "link cut" && p.ours.unicast { // no host answers for the peer's address
			return nil
		}
		return backup
	})

	if ending == "link cut" {
		if err := m.lab.Plug(master.host.Name(), "eth0"); err != nil {
			t.Fatal(err)
		}
	} else {
		master.start()
	}
	m.awaitMasters(t, func(p pairing) *corner {
		if p.noPreempt && ending != "link cut" { // of two masters, the one with the higher priority remains
			return backup
		}
		return master
	})
	m.checkDrops(t)
	m.them.stop()
}

// TestHostMulticastAddress runs two virtual routers with other multicast addresses beside keepalived and one with the
// standard address, on one interface. A reload moves that one too; keepalived's adverts to the standard address are then
// counted and reported as another master's.
func TestHostMulticastAddress(t *testing.T) {
	n := newLAN(t)
	four, six := interops[2].instance(200), interops[3].instance(200)
	standard := interops[2].instance(200)
	six.Name, standard.Name, standard.VirtualRouterID, standard.Addresses = "six", "standard", 61, []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.161/24")}}
	four.MulticastAddress, six.MulticastAddress = netip.MustParseAddr("224.0.0.88"), netip.MustParseAddr("ff02::88")
	a := newStation(t, n.a)
	a.want(four, six, standard)
	for _, in := range []vrrp.Instance{four, six, standard} {
		a.awaitState(in.Name, vrrp.Master)
	}
	global := "global_defs {\n vrrp_mcast_group4 224.0.0.88\n vrrp_mcast_group6 ff02::88\n}\n"
	lower := func(in vrrp.Instance) vrrp.Instance { in.Priority = 100; return in }
	k := startKeepalivedWith(t, n.b, true, keepalivedConfig([]vrrp.Instance{lower(four), lower(six)})+global)
	for _, name := range []string{"v", "six"} {
		k.awaitState(name, vrrp.Backup)
	}
	a.kill()
	for _, name := range []string{"v", "six"} {
		k.awaitState(name, vrrp.Master)
	}
	a.start("fresh")
	for _, name := range []string{"v", "six"} {
		a.awaitState(name, vrrp.Master)
		k.awaitState(name, vrrp.Backup)
		if st := a.report(name, "known", func(vrrp.Status) bool { return true }); len(st.Dropped)+len(st.InterfaceDropped) > 0 {
			t.Errorf("%s: dropped %v %v", name, st.Dropped, st.InterfaceDropped)
		}
	}
	k.checkLog()
	four.MulticastAddress = netip.Addr{}
	a.want(four, six, standard)
	k.awaitState("v", vrrp.Master) // it no longer hears us
	a.report("v", "a conflict", func(s vrrp.Status) bool {
		return s.State == vrrp.Master && s.Dropped[vrrp.DropDestination.String()] > 0 &&
			slices.ContainsFunc(s.Conflicts, func(c vrrp.Conflict) bool { return c.Kind == vrrp.ConflictMaster })
	})
	four.MulticastAddress = netip.MustParseAddr("224.0.0.88")
	a.want(four, six, standard)
	k.awaitState("v", vrrp.Backup)
}

// TestHostKeepalivedMisfits checks that with settings that do not match, both routers are masters and our counters show the
// reason. keepalived's master restarts its timer with each packet, even one that it rejects, so it may send no second
// advert.
func TestHostKeepalivedMisfits(t *testing.T) {
	v2, v3 := side{version: 2, interval: time.Second}, side{version: 3, interval: 250 * time.Millisecond}
	with := func(s side, change func(*side)) side { change(&s); return s }
	unicast := with(v3, func(s *side) { s.unicast = true })
	pass := with(v2, func(s *side) { s.pass = "s3cret" })
	m := newMatch(t, []pairing{
		{
			family: vrrp.IPv4, name: "other-password", ours: pass, theirs: with(pass, func(s *side) { s.pass = "other" }),
			drop: vrrp.DropAuthFailed, complaint: "received an invalid passwd",
		},
		{family: vrrp.IPv4, name: "no-password", ours: v2, theirs: pass, drop: vrrp.DropAuthType, complaint: "received a 0 auth, expecting 1"},
		{
			family: vrrp.IPv4, name: "other-interval", ours: v2, theirs: with(v2, func(s *side) { s.interval = 2 * time.Second }),
			drop: vrrp.DropIntervalMismatch, complaint: "advertisement interval mismatch",
		},
		{family: vrrp.IPv4, name: "other-version", ours: v3, theirs: v2, drop: vrrp.DropInstanceVersion, complaint: "wrong version"},
		{
			family: vrrp.IPv4, name: "other-checksum", ours: with(v3, func(s *side) { s.checksum = vrrp.ChecksumPacketOnly }), theirs: v3,
			drop: vrrp.DropChecksumMode, complaint: "Invalid VRRPv3 checksum",
		},
		{family: vrrp.IPv4, name: "multicast", ours: v3, theirs: unicast, drop: vrrp.DropDestination},
		{family: vrrp.IPv4, name: "other-peer", ours: with(unicast, func(s *side) { s.peer = "10.9.0.9" }), theirs: unicast, drop: vrrp.DropNotAPeer},
	}, 100, 200)
	m.them.start()
	m.us.start()
	for i, p := range m.list {
		m.us.awaitState(p.name, vrrp.Master)
		m.them.awaitState(p.name, vrrp.Master)
		m.awaitAddresses(t, i, m.a, true)
		m.awaitAddresses(t, i, m.b, true)
		m.station.report(p.name, "dropping "+p.drop.String(), func(s vrrp.Status) bool { return s.Dropped[p.drop.String()] > 0 })
		if p.complaint != "" {
			m.keepalived.awaitLog(`\(`+p.name+`\) `+p.complaint, 1)
		}
	}
	m.checkDrops(t)
	for _, p := range m.list {
		m.us.awaitState(p.name, vrrp.Master)
		m.them.awaitState(p.name, vrrp.Master)
	}
}
