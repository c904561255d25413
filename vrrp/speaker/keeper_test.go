package speaker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fakeKernel holds the addresses of interfaces and simulates the kernel's behaviour.
type fakeKernel struct {
	mu        sync.Mutex
	addresses map[int][]netip.Prefix // of the interfaces that are up
	fail      error
	blind     int                   // number of List calls that fail
	dad       map[netip.Prefix]bool // refused by duplicate address detection
	tries     int
	calls     int // of Add
	slow      int // number of checks before a new address is usable
	adds      int
	removed   []string
}

func (k *fakeKernel) Add(list []placement) []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errs := make([]error, len(list))
	k.calls++
	for i, p := range list {
		k.adds++
		if errs[i] = k.fail; k.fail == nil && !slices.Contains(k.addresses[p.index], p.address.Prefix) {
			k.addresses[p.index] = append(k.addresses[p.index], p.address.Prefix)
		}
	}
	return errs
}

func (k *fakeKernel) Try(int, vrrp.Address) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tries++
	return k.fail
}

func (k *fakeKernel) Remove(index int, a vrrp.Address) error {
	p := a.Prefix
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removed = append(k.removed, p.Addr().String())
	delete(k.dad, p)
	k.addresses[index] = slices.DeleteFunc(k.addresses[index], func(x netip.Prefix) bool { return x == p })
	return k.fail
}

func (k *fakeKernel) Serves(placed) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slow--
	return k.slow < 0
}

func (k *fakeKernel) List() (map[int][]ifAddress, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blind > 0 {
		k.blind--
		return nil, unix.ENOBUFS
	}
	out := map[int][]ifAddress{}
	for i, all := range k.addresses {
		out[i] = []ifAddress{}
		for _, p := range all {
			out[i] = append(out[i], ifAddress{Prefix: p, Usable: !k.dad[p], Duplicate: k.dad[p]})
		}
	}
	return out, nil
}

func (k *fakeKernel) set(index int, p ...netip.Prefix) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addresses[index] = p
}

func (k *fakeKernel) get(index int) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, p := range k.addresses[index] {
		out = append(out, p.String())
	}
	return strings.Join(out, " ")
}

// fakeRoutingTable holds routes and rules by key.
type fakeRoutingTable struct {
	mu      sync.Mutex
	present map[string]kernelEntry
	fail    map[string]error
	log     []string
}

func (k *fakeRoutingTable) Set(entries []entry) []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errs := make([]error, len(entries))
	for i, e := range entries {
		if errs[i] = k.fail[e.key()]; errs[i] == nil {
			if k.present == nil {
				k.present = map[string]kernelEntry{}
			}
			k.present[e.key()] = kernelEntry{entry: e}
			k.log = append(k.log, "+"+e.String())
		}
	}
	return errs
}

func (k *fakeRoutingTable) Unset(entries []entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range entries {
		delete(k.present, e.key())
		k.log = append(k.log, "-"+e.String())
	}
	return nil
}

func (k *fakeRoutingTable) List() (map[string]kernelEntry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.present), nil
}

func (k *fakeRoutingTable) refuse(fail map[string]error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = fail
}

func (k *fakeRoutingTable) Satisfies(kernelEntry, entry) bool { return true }

// did returns the changes since the last call.
func (k *fakeRoutingTable) did() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := strings.Join(k.log, ", ")
	k.log = nil
	return out
}

type keeperRig struct {
	*keeper
	kernel *fakeKernel
	log    bytes.Buffer
	bursts []burst

	continued []int // number of bursts at each call

	told   []string // refusals that were reported
	links  map[string]netInterface
	routes fakeRoutingTable
}

func (g *keeperRig) Announce(b burst) { g.bursts = append(g.bursts, b) }
func (g *keeperRig) Continue()        { g.continued = append(g.continued, len(g.bursts)) }

// withKeeper runs a keeper in a bubble of synctest.
func withKeeper(t *testing.T, f func(t *testing.T, g *keeperRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &keeperRig{
			kernel: &fakeKernel{addresses: map[int][]netip.Prefix{2: nil, 3: nil}},
			links:  map[string]netInterface{"eth0": {Index: 2, Name: "eth0"}, "eth1": {Index: 3, Name: "eth1"}},
		}
		g.keeper = newKeeper(slog.New(slog.NewTextHandler(&g.log, nil)), g.kernel, nil, g, func(name string) netInterface { return g.links[name] },
			func(_ *holder, all refusals) {
				var texts []string
				for at, why := range all {
					texts = append(texts, at.String()+": "+why)
				}
				slices.Sort(texts)
				g.told = append(g.told, strings.Join(texts, ", "))
			}, newHeldRouting(&g.routes, func(_ *holder, all []string) { g.told = append(g.told, strings.Join(all, ", ")) }, func() {}))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.run(ctx) }()
		f(t, g)
		cancel()
		<-done
	})
}

var (
	vip1 = vrrp.Address{Prefix: netip.MustParsePrefix("10.9.0.100/24")}
	vip2 = vrrp.Address{Prefix: netip.MustParsePrefix("10.9.0.101/24"), Interface: "eth1"}
	vip6 = vrrp.Address{Prefix: netip.MustParsePrefix("fd09::100/64")}
	keyA = routerKey{"eth0", vrrp.IPv4, 51}
	keyB = routerKey{"eth0", vrrp.IPv4, 52}
)

// do submits a task and waits for its completion.
func (g *keeperRig) do(h *holder, actions ...vrrp.Action) {
	done := make(chan struct{})
	g.submit(task{holder: h, name: "v", count: 3, actions: actions, done: func() { close(done) }})
	<-done
}

// TestKeeperAnnouncesAllFirst takes over two routers at once: what follows the first announcements waits for both.
func TestKeeperAnnouncesAllFirst(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		synctest.Wait()
		g.continued = nil
		g.mu.Lock() // until both are submitted
		for key, a := range map[routerKey]vrrp.Address{keyA: vip1, keyB: vip2} {
			all := []vrrp.Address{a}
			g.tasks = append(g.tasks, task{holder: &holder{key: key}, actions: []vrrp.Action{vrrp.AddAddresses{Addresses: all}, vrrp.SendAnnouncements{Addresses: all}}, done: func() {}})
		}
		g.mu.Unlock()
		g.wake.notify()
		synctest.Wait()
		if len(g.bursts) != 2 || !slices.Equal(g.continued, []int{2}) {
			t.Errorf("%d bursts, continued after %v", len(g.bursts), g.continued)
		}
	})
}

func TestKeeperHoldsAndReleases(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		all := []vrrp.Address{vip1, vip2}
		h := &holder{key: keyA}
		g.do(h, vrrp.AddAddresses{Addresses: all}, vrrp.SendAnnouncements{Addresses: all})
		if g.kernel.get(2) != "10.9.0.100/24" || g.kernel.get(3) != "10.9.0.101/24" {
			t.Errorf("addresses: %q, %q", g.kernel.get(2), g.kernel.get(3))
		}
		if len(g.bursts) != 1 || len(g.bursts[0].targets) != 2 || g.bursts[0].rounds != 3 {
			t.Errorf("announced: %+v", g.bursts)
		}
		g.do(&holder{key: keyB}, vrrp.RemoveAddresses{Addresses: []vrrp.Address{vip1}}) // not its own
		if g.kernel.get(2) == "" {
			t.Error("another router removed the address")
		}
		g.do(h, vrrp.RemoveAddresses{Addresses: all})
		if g.kernel.get(2)+g.kernel.get(3) != "" || !slices.Equal(g.kernel.removed, []string{"10.9.0.101", "10.9.0.100"}) {
			t.Errorf("left: %q %q, removed %v", g.kernel.get(2), g.kernel.get(3), g.kernel.removed)
		}
	})
}

func TestKeeperRestores(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: keyA}
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip1}})
		g.kernel.set(2)
		g.requestCheck()
		synctest.Wait()
		if g.kernel.get(2) == "" || h.restored.Load() != 1 {
			t.Fatalf("after a deletion: %q, restored %d", g.kernel.get(2), h.restored.Load())
		}
		// A second deletion shortly after is handled with a delay.
		g.kernel.set(2)
		g.requestCheck()
		synctest.Wait()
		if g.kernel.get(2) != "" {
			t.Error("restored without a pause")
		}
		time.Sleep(restorePause)
		synctest.Wait()
		if g.kernel.get(2) == "" || h.restored.Load() != 2 {
			t.Errorf("after the pause: %q, restored %d", g.kernel.get(2), h.restored.Load())
		}
		// No message about the third: the periodic check finds it.
		g.kernel.set(2)
		time.Sleep(checkInterval)
		synctest.Wait()
		if g.kernel.get(2) == "" || h.restored.Load() != 3 {
			t.Errorf("after the interval: %q, restored %d", g.kernel.get(2), h.restored.Load())
		}
		if n := strings.Count(g.log.String(), "deleted by another program"); n != 3 {
			t.Errorf("logged %d times", n)
		}
	})
}

func TestKeeperFollowsInterfaces(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: keyA}
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip2}})
		// Down: the kernel does not list its addresses, and the keeper does nothing.
		delete(g.kernel.addresses, 3)
		adds := g.kernel.adds
		g.requestCheck()
		synctest.Wait()
		if g.kernel.adds != adds {
			t.Error("an address was added to an interface that is down")
		}
		// Recreated: not a deletion.
		g.links["eth1"] = netInterface{Index: 7, Name: "eth1"}
		g.kernel.set(7)
		g.requestCheck()
		synctest.Wait()
		if g.kernel.get(7) == "" || h.restored.Load() != 0 {
			t.Errorf("on the new interface: %q, restored %d", g.kernel.get(7), h.restored.Load())
		}
		// Missing: reported once.
		g.links["eth1"] = netInterface{}
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip2}})
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip2}})
		if !slices.Equal(g.told, []string{"10.9.0.101/24 on eth1: " + noInterface}) {
			t.Errorf("reported %q", g.told)
		}
		g.do(h, vrrp.RemoveAddresses{Addresses: []vrrp.Address{vip2}})
	})
}

func TestKeeperFailures(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: keyA}
		g.kernel.fail = errors.New("no buffer space")
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip1}})
		time.Sleep(3 * checkInterval)
		synctest.Wait()
		if !slices.Equal(g.told, []string{"10.9.0.100/24 on eth0: no buffer space"}) {
			t.Errorf("reported %q", g.told)
		}
		g.kernel.mu.Lock()
		g.kernel.fail = nil
		g.kernel.mu.Unlock()
		time.Sleep(checkInterval)
		synctest.Wait()
		if g.kernel.get(2) == "" || h.restored.Load() != 0 {
			t.Errorf("after the cause is gone: %q, restored %d", g.kernel.get(2), h.restored.Load())
		}
		if len(g.told) != 2 || g.told[1] != "" {
			t.Errorf("reported %q", g.told)
		}
	})
}

func TestKeeperRetriesTemporaryErrors(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: keyA}
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip1}})
		for _, times := range []int{1, 2, 4} {
			g.kernel.mu.Lock()
			g.kernel.blind = times
			g.kernel.mu.Unlock()
			g.kernel.set(2)
			g.requestCheck()
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			if g.kernel.get(2) == "" {
				t.Errorf("not put back within 500 ms, after %d looks that failed", times)
			}
		}
		// The kernel refuses it for a while.
		g.kernel.mu.Lock()
		g.kernel.fail = unix.EBUSY
		g.kernel.mu.Unlock()
		g.kernel.set(2)
		g.requestCheck()
		time.Sleep(100 * time.Millisecond)
		g.kernel.mu.Lock()
		g.kernel.fail = nil
		g.kernel.mu.Unlock()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if g.kernel.get(2) == "" {
			t.Error("not put back within 500 ms after the kernel would have taken it")
		}
		// It is retried at increasing intervals.
		g.kernel.mu.Lock()
		g.kernel.blind = 1 << 30
		g.kernel.mu.Unlock()
		g.requestCheck()
		time.Sleep(time.Minute)
		g.kernel.mu.Lock()
		defer g.kernel.mu.Unlock()
		if looks := 1<<30 - g.kernel.blind; looks > 35 {
			t.Errorf("%d looks in a minute", looks)
		}
	})
}

func TestAddressesLeaveRenamedInterface(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		all := []vrrp.Address{vip1, vip2}
		h := &holder{key: keyA}
		g.do(h, vrrp.AddAddresses{Addresses: all})
		// Another router's interface: this router continues.
		g.links["lan"], g.links["eth1"] = netInterface{Index: 3, Name: "lan"}, netInterface{}
		g.requestCheck()
		synctest.Wait()
		if g.kernel.get(3) != "" {
			t.Errorf("left on the renamed interface: %q", g.kernel.get(3))
		}
		g.links["eth1"] = netInterface{Index: 3, Name: "eth1"}
		g.requestCheck()
		synctest.Wait()
		if g.kernel.get(3) == "" {
			t.Error("not put back with the name")
		}
		// The router's own interface.
		g.links["wan"], g.links["eth0"] = netInterface{Index: 2, Name: "wan"}, netInterface{}
		g.do(h, vrrp.RemoveAddresses{Addresses: all})
		if g.kernel.get(2)+g.kernel.get(3) != "" {
			t.Errorf("left on the renamed interface: %q %q", g.kernel.get(2), g.kernel.get(3))
		}
	})
}

func TestKeeperWaitsForIPv6(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		h := &holder{key: routerKey{"eth0", vrrp.IPv6, 51}}
		g.kernel.slow = 5
		began := time.Now()
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip6}})
		if d := time.Since(began); d != 5*servicePause {
			t.Errorf("waited %s", d)
		}
		g.kernel.slow = 1 << 30
		began = time.Now()
		g.do(h, vrrp.AddAddresses{Addresses: []vrrp.Address{vip6}})
		if d := time.Since(began); d < serviceTimeout || d > serviceTimeout+servicePause {
			t.Errorf("waited %s for an address that never works", d)
		}
		// The kernel has it with another prefix length: it counts as present.
		g.kernel.set(2, netip.MustParsePrefix("fd09::100/128"))
		g.requestCheck()
		synctest.Wait()
		if g.kernel.get(2) != "fd09::100/128" {
			t.Errorf("addresses: %q", g.kernel.get(2))
		}
	})
}
