package speaker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// pair is a master on host a and a backup on host b.
func pair(t testing.TB, n *lan, f vrrp.Family, interval time.Duration) (a, b *station) {
	t.Helper()
	a, b = newStation(t, n.a), newStation(t, n.b)
	a.want(instance(3, f, 200, interval))
	a.awaitState("v", vrrp.Master)
	b.want(instance(3, f, 100, interval))
	b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
	return a, b
}

func TestHostAddressPutBack(t *testing.T) {
	n := newLAN(t)
	a := newStation(t, n.a)
	v4, v6 := instance(3, vrrp.IPv4, 200, 100*time.Millisecond), instance(3, vrrp.IPv6, 200, 100*time.Millisecond)
	v6.Name = "v6"
	a.want(v4, v6)
	for _, c := range []struct{ name, vip string }{{"v", "10.9.0.100/24"}, {"v6", "fd09::100/64"}} {
		a.awaitState(c.name, vrrp.Master)
		eventually(t, "it has its address", func() bool { return has(t, n.a, "eth0", c.vip) })
		ip(t, n.a, "addr", "del", c.vip, "dev", "eth0")
		st := a.report(c.name, "restored", func(s vrrp.Status) bool { return s.AddressesRestored == 1 })
		eventually(t, "the address is back", func() bool { return has(t, n.a, "eth0", c.vip) })
		if st.State != vrrp.Master || st.Transitions != 1 {
			t.Errorf("status after the deletion: %+v", st)
		}
	}
	if !strings.Contains(a.log.String(), "deleted by another program") {
		t.Error("the log does not report the deletion")
	}
	if d := a.stop(); d > patience/3 {
		t.Errorf("the stop took %s", d)
	}
	if got := prefixes(t, n.a, "eth0"); len(got) != 3 {
		t.Errorf("addresses after the stop: %v", got)
	}
}

func TestHostAddressOnABackup(t *testing.T) {
	n := newLAN(t)
	_, b := pair(t, n, vrrp.IPv4, 100*time.Millisecond)
	for round := range uint64(2) {
		ip(t, n.b, "addr", "add", "10.9.0.100/24", "dev", "eth0")
		st := b.report("v", "found", func(s vrrp.Status) bool { return s.AddressesFound == round+1 })
		eventually(t, "the address is gone", func() bool { return !has(t, n.b, "eth0", "10.9.0.100/24") })
		if st.State != vrrp.Backup || st.Transitions != 0 {
			t.Errorf("status afterwards: %+v", st)
		}
	}
	ip(t, n.b, "link", "set", "eth0", "down")
	b.awaitState("v", vrrp.Initialize)
	ip(t, n.b, "addr", "add", "10.9.0.100/24", "dev", "eth0")
	ip(t, n.b, "link", "set", "eth0", "up")
	b.awaitState("v", vrrp.Backup)
	eventually(t, "the address is gone", func() bool { return !has(t, n.b, "eth0", "10.9.0.100/24") })
	if n := strings.Count(b.log.String(), "virtual address found on a backup"); n != 1 {
		t.Errorf("%d warnings within a minute, want 1", n)
	}
}

func TestHostInterfaceComesAndGoes(t *testing.T) {
	n := newLAN(t)
	a := newStation(t, n.a)
	in := instance(3, vrrp.IPv4, 200, 100*time.Millisecond)
	in.Interface = "eth1"
	v6 := instance(3, vrrp.IPv6, 200, 100*time.Millisecond)
	v6.Name, v6.Interface = "v6", "eth1"
	names := []string{"v", "v6"}
	a.want(in, v6)
	for _, name := range names {
		a.await(name, "waiting", func(s vrrp.Status) bool { return s.Reason == string(vrrp.ReasonInterfaceMissing) })
	}
	for round := range 2 {
		nic := lab.NIC{Name: "eth1", Bridge: n.bridge}
		if err := n.a.Attach(nic); err != nil {
			t.Fatal(err)
		}
		a.await("v", "without an address", func(s vrrp.Status) bool { return s.Reason == string(vrrp.ReasonNoAddress) })
		if err := n.a.AddAddress("eth1", netip.MustParsePrefix("10.9.0.5/24")); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			a.awaitState(name, vrrp.Master)
		}
		eventually(t, "it has both addresses", func() bool {
			return has(t, n.a, "eth1", "10.9.0.100/24") && has(t, n.a, "eth1", "fd09::100/64")
		})
		if round == 0 {
			ip(t, n.a, "link", "set", "eth1", "down")
			for _, name := range names {
				a.await(name, "down", func(s vrrp.Status) bool { return s.Reason == string(vrrp.ReasonInterfaceDown) })
			}
			ip(t, n.a, "link", "set", "eth1", "up")
			for _, name := range names {
				a.awaitState(name, vrrp.Master)
			}
		}
		ip(t, n.a, "link", "del", "eth1")
		for _, name := range names {
			a.await(name, "waiting again", func(s vrrp.Status) bool { return s.Reason == string(vrrp.ReasonInterfaceMissing) })
		}
	}
}

func TestHostLinkDownIsAFault(t *testing.T) {
	n := newLAN(t)
	a, b := pair(t, n, vrrp.IPv4, 100*time.Millisecond)
	ip(t, n.a, "link", "set", "eth0", "down")
	a.await("v", "down", func(s vrrp.Status) bool {
		return s.State == vrrp.Initialize && s.Reason == string(vrrp.ReasonInterfaceDown)
	})
	b.awaitState("v", vrrp.Master)
	ip(t, n.a, "link", "set", "eth0", "up")
	a.awaitState("v", vrrp.Master)
	b.awaitState("v", vrrp.Backup)
}

func TestHostTrackInterface(t *testing.T) {
	n := newLAN(t)
	if err := n.a.Attach(lab.NIC{Name: "eth1", Bridge: n.bridge}); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, n, vrrp.IPv4, 100*time.Millisecond)
	for _, c := range []struct {
		weight int
		during vrrp.State
	}{{-150, vrrp.Backup}, {0, vrrp.Initialize}} {
		in := instance(3, vrrp.IPv4, 200, 100*time.Millisecond)
		in.TrackInterfaces = []vrrp.TrackInterface{{Interface: "eth1", Weight: c.weight}}
		a.want(in)
		a.awaitState("v", vrrp.Master)
		ip(t, n.a, "link", "set", "eth1", "down")
		b.awaitState("v", vrrp.Master)
		a.awaitState("v", c.during)
		ip(t, n.a, "link", "set", "eth1", "up")
		a.awaitState("v", vrrp.Master)
		b.awaitState("v", vrrp.Backup)
	}
}

// TestHostAdoption kills a master's speaker; the next one continues before the peer times out.
func TestHostAdoption(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			attempts(t, func(n *lan) error { return adopt(t, n, f) })
		})
	}
}

// awaitAgain waits until an instance of a speaker that was killed is master again: it has adopted the addresses or, if the
// peer has taken over because the host is busy, preempts.
func (s *station) awaitAgain(name string) vrrp.Status {
	s.t.Helper()
	return s.await(name, "master again", func(s vrrp.Status) bool {
		return s.State == vrrp.Master && (s.Reason == string(vrrp.ReasonAdopted) || s.Reason == string(vrrp.ReasonPreempt))
	})
}

func adopt(t *testing.T, n *lan, f vrrp.Family) error {
	a, b := pair(t, n, f, 100*time.Millisecond)
	before := len(b.transitions())
	mark := n.capture.mark()
	a.kill()
	a.start("adopt")
	macA := macOf(t, n.a, "eth0")
	if again := a.awaitAgain("v"); again.Reason != string(vrrp.ReasonAdopted) {
		return errors.New("the peer took over before the speaker had started again")
	}
	for range 5 {
		n.capture.await(t, mark, "a's adverts", func(s seen) bool { return s.advert != nil && s.mac == macA })
		mark++
	}
	b.report("v", "still backup", func(s vrrp.Status) bool { return s.State == vrrp.Backup })
	if got := b.transitions(); len(got) != before {
		return fmt.Errorf("the peer went through %v", got)
	}
	return nil
}

// TestHostStoppedMaster stops a master's speaker until the peer has taken over, and then continues or replaces it. It finds
// its addresses present and an active master, which it must not preempt.
func TestHostStoppedMaster(t *testing.T) {
	for _, c := range []struct {
		name  string
		awake func(a *station)
	}{
		{"replaced", func(a *station) { a.kill(); a.start("adopt") }},
		{"woken", func(a *station) { _ = a.cmd.Process.Signal(syscall.SIGCONT) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newLAN(t)
			a, b := newStation(t, n.a), newStation(t, n.b)
			const interval = 100 * time.Millisecond
			in := instance(3, vrrp.IPv4, 200, interval)
			in.Preempt = false
			a.want(in)
			a.awaitState("v", vrrp.Master)
			b.want(instance(3, vrrp.IPv4, 100, interval))
			b.await("v", "backup of a", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 200 })
			if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			b.awaitState("v", vrrp.Master)
			sent := b.report("v", "any", func(vrrp.Status) bool { return true }).AdvertsSent
			b.report("v", "at work", func(s vrrp.Status) bool { return s.AdvertsSent > sent+3 })
			c.awake(a)
			a.await("v", "backup of b", func(s vrrp.Status) bool { return s.State == vrrp.Backup && s.MasterPriority == 100 })
			eventually(t, "the address is given up", func() bool { return !has(t, n.a, "eth0", in.Addresses[0].Prefix.String()) })
			if st := b.report("v", "master still", func(s vrrp.Status) bool { return s.State == vrrp.Master }); st.Transitions != 1 {
				t.Errorf("it became master %d times", st.Transitions)
			}
		})
	}
}

// TestHostPausedBackup stops a backup's process for many intervals: the adverts of that time are queued in its socket.
func TestHostPausedBackup(t *testing.T) {
	n := newLAN(t)
	a, b := pair(t, n, vrrp.IPv4, 50*time.Millisecond)
	for range 3 {
		sent := a.report("v", "any", func(vrrp.Status) bool { return true }).AdvertsSent
		if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		a.report("v", "30 adverts on", func(s vrrp.Status) bool { return s.AdvertsSent > sent+30 })
		if err := b.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		b.report("v", "through them", func(s vrrp.Status) bool { return s.AdvertsReceived > sent+20 })
	}
	if st := b.status("v"); st.Transitions != 0 || a.status("v").Transitions != 1 {
		t.Errorf("a failover happened: %v", b.transitions())
	}
}

func TestHostDirectorLost(t *testing.T) {
	n := newLAN(t)
	a, b := pair(t, n, vrrp.IPv4, 100*time.Millisecond)
	a.wantWith(300*time.Millisecond, instance(3, vrrp.IPv4, 200, 100*time.Millisecond))
	a.report("v", "told", func(vrrp.Status) bool { return true })
	began := time.Now()
	a.pauseDirector()
	b.awaitState("v", vrrp.Master)
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Errorf("handed over after %s, before the grace time was over", d)
	}
	a.resumeDirector()
	a.awaitState("v", vrrp.Master)
	b.awaitState("v", vrrp.Backup)
}

// TestHostSilentDirector checks that a connected director that hangs is treated as disconnected.
func TestHostSilentDirector(t *testing.T) {
	n := newLAN(t)
	a, b := pair(t, n, vrrp.IPv4, 100*time.Millisecond)
	a.wantWith(300*time.Millisecond, instance(3, vrrp.IPv4, 200, 100*time.Millisecond))
	alive := time.NewTicker(time.Second)
	defer alive.Stop()
	var last time.Time
	for began := time.Now(); time.Since(began) < directorSilence+2*time.Second; <-alive.C {
		last = time.Now()
		a.client.Alive()
	}
	if st := b.status("v"); st.Transitions != 0 {
		t.Errorf("a failover while the director worked: %+v", st)
	}
	b.awaitState("v", vrrp.Master)
	if d := time.Since(last); d < directorSilence {
		t.Errorf("handed over after %s", d)
	}
	a.client.Alive()
	a.awaitState("v", vrrp.Master)
	b.awaitState("v", vrrp.Backup)
}

// TestHostTimedStuckDirector does not read from its connection while it causes more and more messages.
func TestHostTimedStuckDirector(t *testing.T) {
	attempts(t, func(n *lan) error { return stuckDirector(t, n) })
}

func stuckDirector(t *testing.T, n *lan) error {
	a := newStation(t, n.a)
	a.pauseDirector()
	conn, err := net.Dial("unix", a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out := json.NewEncoder(conn)
	w := vrrp.Wanted{Instances: []vrrp.WantedInstance{{Instance: instance(3, vrrp.IPv4, 200, 10*time.Millisecond)}}}
	if err := out.Encode(order{Wanted: &w}); err != nil {
		t.Fatal(err)
	}
	macA := macOf(t, n.a, "eth0")
	isAdvert := func(s seen) bool { return s.advert != nil && s.mac == macA }
	n.capture.await(t, 0, "the first advert", isAdvert)
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	for range 20000 {
		if out.Encode(order{Report: true}) != nil {
			break
		}
	}
	mark := n.capture.mark()
	for range 50 {
		n.capture.await(t, mark, "another advert", isAdvert)
		mark++
	}
	var last time.Time
	for _, s := range n.capture.all() {
		if !isAdvert(s) {
			continue
		}
		if gap := s.at.Sub(last); !last.IsZero() && gap > 30*time.Millisecond {
			return fmt.Errorf("a gap of %s between adverts", gap)
		}
		last = s.at
	}
	return nil
}
