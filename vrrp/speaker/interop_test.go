package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// instance returns the router of an interop case. keepalived requires an IPv6 router's first address to be link-local.
func (c interop) instance(priority uint8) vrrp.Instance {
	in := instance(c.version, c.family, priority, c.interval)
	in.AuthPass = secret.Text(c.pass)
	if c.family == vrrp.IPv6 {
		in.Addresses = slices.Insert(in.Addresses, 0, vrrp.Address{Prefix: netip.MustParsePrefix("fe80::100/64")})
	}
	return in
}

// TestHostKeepalivedBackup uses keepalived as the backup of our master: hand-over by priority 0, preemption, kill.
func TestHostKeepalivedBackup(t *testing.T) {
	for _, c := range interops {
		t.Run(c.name, func(t *testing.T) {
			n := newLAN(t)
			t.Parallel()
			a := newStation(t, n.a)
			a.want(c.instance(200))
			a.awaitState("v", vrrp.Master)
			k := startKeepalived(t, n.b, true, c.instance(100))
			k.awaitLog(`\(v\) Entering BACKUP STATE`, 1)
			macA, macK := macOf(t, n.a, "eth0"), macOf(t, n.b, "eth0")
			fromK := func(s seen) bool { return s.advert != nil && s.mac == macK && s.advert.Priority == 100 }

			mark := n.capture.mark()
			took := a.stop()
			zero := n.capture.await(t, mark, "our priority 0", func(s seen) bool {
				return s.advert != nil && s.mac == macA && s.advert.Priority == 0
			})
			first := n.capture.await(t, mark, "keepalived's advert", fromK)
			t.Logf("stopped in %s; keepalived's first advert %s after our priority 0, its skew time is %s",
				took, first.at.Sub(zero.at), vrrp.SkewTime(c.version, 100, c.interval))
			if first.at.Sub(zero.at) > vrrp.MasterDownInterval(c.version, 100, c.interval) {
				t.Error("keepalived took over by its timer, not by priority 0")
			}
			k.awaitLog(`\(v\) Entering MASTER STATE`, 1)

			a.start("fresh")
			a.awaitState("v", vrrp.Master)
			k.awaitLog(`\(v\) Entering BACKUP STATE`, 2)
			vip := c.instance(100).Addresses[0].Prefix.String()
			eventually(t, "keepalived has given the address up", func() bool { return !has(t, n.b, "eth0", vip) })

			a.kill()
			mark = n.capture.mark()
			n.capture.await(t, mark, "keepalived's advert", fromK)
			k.awaitLog(`\(v\) Entering MASTER STATE`, 2)
			k.stop()
			k.checkLog()
		})
	}
}

// TestHostKeepalivedMaster uses keepalived as the master of our backup.
func TestHostKeepalivedMaster(t *testing.T) {
	for _, c := range interops {
		t.Run(c.name, func(t *testing.T) {
			n := newLAN(t)
			t.Parallel()
			k := startKeepalived(t, n.b, true, c.instance(200))
			k.awaitLog(`\(v\) Entering MASTER STATE`, 1)
			a := newStation(t, n.a)
			a.want(c.instance(100))
			st := a.await("v", "backup of keepalived", func(s vrrp.Status) bool {
				return s.State == vrrp.Backup && s.MasterPriority == 200
			})
			if st.AdvertiseInterval != c.interval {
				t.Errorf("interval in use %s", st.AdvertiseInterval)
			}

			k.stop()
			if st := a.awaitState("v", vrrp.Master); st.Reason != string(vrrp.ReasonPriorityZero) {
				t.Errorf("became master for reason %q", st.Reason)
			}
			k.checkLog()
			k = startKeepalived(t, n.b, true, c.instance(200))
			k.awaitLog(`\(v\) Entering MASTER STATE`, 1)
			st = a.awaitState("v", vrrp.Backup)
			if st.Reason != string(vrrp.ReasonHigherPriority) {
				t.Errorf("became backup for reason %q", st.Reason)
			}
			for _, addr := range c.instance(100).Addresses {
				eventually(t, "the address is given up", func() bool { return !has(t, n.a, "eth0", addr.Prefix.String()) })
			}

			k.kill()
			if st := a.awaitState("v", vrrp.Master); st.Reason != string(vrrp.ReasonMasterDownTimer) {
				t.Errorf("became master for reason %q", st.Reason)
			}
			k.checkLog()
			st = a.report("v", "any", func(vrrp.Status) bool { return true })
			if len(st.Dropped) > 0 || len(st.InterfaceDropped) > 0 || st.AddressMismatches > 0 {
				t.Errorf("keepalived's packets dropped: %v %v, with other addresses: %d", st.Dropped, st.InterfaceDropped, st.AddressMismatches)
			}
		})
	}
}

// TestHostKeepalivedUnicast uses unicast: keepalived's adverts have a TTL of 255, and over IPv6 a hop limit of 64.
func TestHostKeepalivedUnicast(t *testing.T) {
	for _, c := range []struct {
		family      vrrp.Family
		us, them    string
		minTTL      uint8
		maxTTL      uint8
		theirsCount bool
	}{
		{vrrp.IPv4, "10.9.0.1", "10.9.0.2", 0, 0, true},
		{vrrp.IPv4, "10.9.0.1", "10.9.0.2", 1, 254, false},
		{vrrp.IPv6, "fd09::1", "fd09::2", 64, 0, true},
		{vrrp.IPv6, "fd09::1", "fd09::2", 1, 64, true},
		{vrrp.IPv6, "fd09::1", "fd09::2", 1, 63, false},
		{vrrp.IPv6, "fd09::1", "fd09::2", 0, 0, false},
	} {
		t.Run(fmt.Sprintf("%s min %d max %d", c.family, c.minTTL, c.maxTTL), func(t *testing.T) {
			n := newLAN(t)
			with := func(priority uint8, peer string) vrrp.Instance {
				in := interop{version: 3, family: c.family, interval: 100 * time.Millisecond}.instance(priority)
				in.UnicastPeers = []netip.Addr{netip.MustParseAddr(peer)}
				return in
			}
			theirs := with(200, c.us)
			theirs.SourceAddress = netip.MustParseAddr(c.them)
			k := startKeepalived(t, n.b, true, theirs)
			k.awaitLog(`\(v\) Entering MASTER STATE`, 1)
			ours := with(100, c.them)
			ours.UnicastMinTTL, ours.UnicastMaxTTL = c.minTTL, c.maxTTL
			a := newStation(t, n.a)
			a.want(ours)
			if c.theirsCount {
				a.await("v", "backup of keepalived", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
				return
			}
			a.report("v", "dropping", func(s vrrp.Status) bool { return s.Dropped["ttl"] > 0 })
		})
	}
}
