package speaker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func refuse(in vrrp.Instance, addresses ...int) map[placed]string {
	out := map[placed]string{}
	for _, i := range addresses {
		key := keyOf(&in)
		out[key.place(in.Addresses[i])] = "refused"
	}
	return out
}

// TestRefusedAsMaster checks that an owner, which takes over at once, leaves.
func TestRefusedAsMaster(t *testing.T) {
	g := newRig(t)
	g.refuses = refuse(v3(255), 0)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(255))
	g.expect("v", vrrp.Leaving, vrrp.ReasonAddressRefused)
	g.advance(200 * time.Millisecond)
	g.expect("v", vrrp.Initialize, vrrp.ReasonAddressRefused)
	g.expectDid("advert 255, add, announce, silence, advert 0, advert 0, remove, silence")
}

// TestRefusedBeforeTakeover checks that a router does not take over with an address that the kernel refuses, and retries it.
func TestRefusedBeforeTakeover(t *testing.T) {
	g := newRig(t)
	g.refuses = refuse(v3(100), 0)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.did()
	g.advance(361 * time.Millisecond)
	g.expect("v", vrrp.Initialize, vrrp.ReasonAddressRefused)
	g.advance(200 * time.Millisecond)
	g.expectDid("add, remove, silence")
	if got := g.status("v").AddressesRefused; len(got) != 1 || got[0] != "10.9.0.100/24 on eth0: refused" {
		t.Errorf("refused %q", got)
	}
	// It is retried after 1 s, and then with a delay that doubles each time.
	began := g.now.Add(-200 * time.Millisecond)
	var tries []time.Duration
	for range 140 {
		g.advance(time.Second)
		if strings.Contains(g.did(), "try") {
			tries = append(tries, g.now.Sub(began).Round(time.Second))
		}
	}
	if got := fmt.Sprint(tries); got != "[1s 3s 7s 15s 31s 1m1s 1m31s 2m1s]" {
		t.Errorf("tried at %s", got)
	}
	g.expect("v", vrrp.Initialize, vrrp.ReasonAddressRefused)
	// An event on the interface brings the retry forward, but not twice within a second.
	for range 4 {
		g.up("eth0", 2, "10.9.0.1/24", "10.9.0.7/24")
		g.advance(100 * time.Millisecond)
		g.up("eth0", 2, "10.9.0.1/24")
		g.advance(100 * time.Millisecond)
	}
	if got := strings.Count(g.did(), "try"); got != 1 {
		t.Errorf("%d tries within a second", got)
	}
	g.refuses = nil
	g.up("eth0", 2, "10.9.0.1/24", "10.9.0.7/24")
	g.advance(300 * time.Millisecond)
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
	if got := g.status("v").AddressesRefused; len(got) != 0 {
		t.Errorf("still refused: %q", got)
	}
	g.advance(361 * time.Millisecond)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	g.did()
	g.advance(time.Minute)
	if strings.Contains(g.did(), "try") {
		t.Error("it is still tried")
	}
}

// TestRefusedWhilePreempting checks that the active master receives no advert that makes it yield, and that nothing is
// announced.
func TestRefusedWhilePreempting(t *testing.T) {
	g := newRig(t)
	g.refuses = refuse(v3(100), 0)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(100))
	g.did()
	for range 4 {
		g.hear(v3(50), 50, "10.9.0.2")
		g.advance(91 * time.Millisecond)
	}
	g.expect("v", vrrp.Initialize, vrrp.ReasonAddressRefused)
	g.expectDid("add, remove, silence")
}

func TestRefusedInPart(t *testing.T) {
	in := v3(100)
	in.Addresses = append(in.Addresses,
		vrrp.Address{Prefix: netip.MustParsePrefix("10.9.0.101/24")},
		vrrp.Address{Prefix: netip.MustParsePrefix("10.9.7.1/24"), Interface: "eth7"})
	g := newRig(t)
	g.refuses = refuse(in, 1)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(in)
	// Known before it takes over: an interface is missing.
	if st := g.status("v"); st.State != vrrp.Backup || st.EffectivePriority != 1 || len(st.AddressesRefused) != 1 {
		t.Errorf("before the beginning: %+v", st)
	}
	g.advance(400 * time.Millisecond)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	if st := g.status("v"); st.EffectivePriority != 1 || len(st.AddressesRefused) != 2 {
		t.Errorf("as master: %+v", st)
	}
	g.did()
	g.up("eth7", 7)
	if st := g.status("v"); st.EffectivePriority != 1 || len(st.AddressesRefused) != 1 {
		t.Errorf("with its interface: %+v", st)
	}
	g.expectDid("")
	// The keeper retries a master's addresses.
	g.advance(time.Minute)
	if strings.Contains(g.did(), "try") {
		t.Error("the engine tries a master's addresses")
	}
	g.refuses = nil
	g.engine.setRefused(g.engine.routers[keyOf(&in)].holder, nil, g.now)
	g.settle()
	g.expectDid("advert 100, add, announce")
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)
	// From some to all and back, while another router is master.
	g.hear(v3(200), 200, "10.9.0.2")
	g.settle()
	for _, n := range [][]int{{0}, {0, 1, 2}, {1}, {}} {
		g.engine.setRefused(g.engine.routers[keyOf(&in)].holder, refuse(in, n...), g.now)
		st := g.status("v")
		if want := map[bool]vrrp.State{true: vrrp.Initialize, false: vrrp.Backup}[len(n) == 3]; st.State != want {
			t.Errorf("%d refused: %+v", len(n), st)
		}
		if want := map[bool]uint8{true: 100, false: 1}[len(n) == 0 || len(n) == 3]; st.EffectivePriority != want {
			t.Errorf("%d refused: priority %d, want %d", len(n), st.EffectivePriority, want)
		}
	}
}

func TestKeeperTries(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: keyA}
		try := func() {
			done := make(chan struct{})
			g.submit(task{holder: h, try: []vrrp.Address{vip1}, done: func() { close(done) }})
			<-done
		}
		g.kernel.fail = unix.EPERM
		all := []vrrp.Address{vip1}
		g.do(h, vrrp.AddAddresses{Addresses: all}, vrrp.SendAnnouncements{Addresses: all})
		g.do(h, vrrp.AddAddresses{Addresses: all})
		if len(g.bursts) != 0 {
			t.Errorf("announced what it does not have: %+v", g.bursts)
		}
		try() // it is held, so restore retries it
		g.do(h, vrrp.RemoveAddresses{Addresses: all})
		try()
		g.kernel.fail = nil
		try()
		refused := "10.9.0.100/24 on eth0: operation not permitted: give the process CAP_NET_ADMIN"
		if want := []string{refused, refused, refused, ""}; !slices.Equal(g.told, want) {
			t.Errorf("reported %q", g.told)
		}
		if g.kernel.tries != 2 || len(g.kernel.removed) != 0 {
			t.Errorf("tried %d times, removed %v", g.kernel.tries, g.kernel.removed)
		}
		delete(g.links, "eth0")
		try()
		if got := g.told[len(g.told)-1]; got != "10.9.0.100/24 on eth0: "+noInterface {
			t.Errorf("reported %q", got)
		}
	})
}

// TestKeeperTellsANewRouter checks that refusals are reported again to a router that is removed and added again.
func TestKeeperTellsANewRouter(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		g.kernel.fail = unix.ENOBUFS
		for range 2 {
			h := &holder{key: keyA}
			g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip1}})
			g.do(h, vrrp.RemoveAddresses{Addresses: []vrrp.Address{vip1}})
		}
		if len(g.told) != 2 || g.told[0] != g.told[1] {
			t.Errorf("reported %q", g.told)
		}
	})
}

func TestKeeperRenewsDuplicates(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: routerKey{"eth0", vrrp.IPv6, 51}}
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip6}})
		adds := g.kernel.adds
		g.kernel.mu.Lock()
		g.kernel.dad = map[netip.Prefix]bool{vip6.Prefix: true}
		g.kernel.mu.Unlock()
		g.requestCheck()
		synctest.Wait()
		if g.kernel.adds != adds+1 || len(g.kernel.removed) != 1 || g.kernel.get(2) != vip6.Prefix.String() || h.restored.Load() != 1 {
			t.Errorf("added %d times, removed %v, there is %q", g.kernel.adds-adds, g.kernel.removed, g.kernel.get(2))
		}
		g.requestCheck()
		synctest.Wait()
		if g.kernel.adds != adds+1 {
			t.Error("removed and added twice")
		}
	})
}

func TestRefusalTexts(t *testing.T) {
	v6 := placed{"eth0.100", netip.MustParsePrefix("fd09::100/64")}
	v4 := placed{"eth0.100", netip.MustParsePrefix("10.9.0.100/24")}
	for _, c := range []struct {
		at   placed
		err  error
		want string
	}{
		{v6, unix.EACCES, "permission denied: IPv6 is disabled on the interface: sysctl net.ipv6.conf.eth0/100.disable_ipv6=0"},
		{v6, fmt.Errorf("add address: %w: ipv6: IPv6 is disabled on this device", unix.EACCES), "add address: permission denied: IPv6 is disabled on the interface: sysctl net.ipv6.conf.eth0/100.disable_ipv6=0"},
		{v6, unix.EINVAL, "invalid argument: IPv6 requires an MTU of 1280 or more: ip link set dev eth0.100 mtu 1500"},
		{v4, unix.EINVAL, "invalid argument: the interface's addresses in one network need the same scope"},
		{v4, fmt.Errorf("add address: %w", unix.ENODEV), noInterface},
		{v4, unix.EPERM, "operation not permitted: give the process CAP_NET_ADMIN"},
		{v4, errors.New("else"), "else"},
	} {
		if got := refusalText(c.at, c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
	if got := firstReasons([]string{"a", "b", "c", "d"}); got != "a; b; c; …" {
		t.Error(got)
	}
}

// TestSharedAddress checks that only one instance of an interface may have an address, and that instances on other
// interfaces may have the same one.
func TestSharedAddress(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.up("eth1", 3, "10.8.0.1/24")
	first, second, apart, same := v3(100), v3(100), v3(100), v3(100)
	second.Name, second.VirtualRouterID = "second", 52
	apart.Name, apart.Interface = "apart", "eth1"
	same.Name, same.VirtualRouterID, same.Interface = "same", 53, "eth1"
	same.Addresses = []vrrp.Address{{Prefix: first.Addresses[0].Prefix, Interface: "eth0"}}
	g.want(first, second, apart, same)
	if len(g.engine.routers) != 2 || len(g.engine.rejected) != 2 {
		t.Errorf("%d instances run, refused %v", len(g.engine.routers), g.engine.rejected)
	}
	if got := g.engine.rejected["second"]; got != "instance v already has 10.9.0.100/24 on eth0: remove it from one of them" {
		t.Errorf("refused: %q", got)
	}
	// A reload that moves the address to the other instance is no conflict.
	first.Addresses = []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.101/24")}}
	g.want(second, first)
	g.expect("second", vrrp.Backup, vrrp.ReasonStartup)
	g.expect("v", vrrp.Backup, vrrp.ReasonStartup)
}
