package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestKeeperAddsTogether takes over many routers at once: their addresses need few system calls. A task that also removes
// addresses, sets routes or belongs to the same router keeps its place.
func TestKeeperAddsTogether(t *testing.T) {
	withKeeper(t, func(t *testing.T, g *keeperRig) {
		synctest.Wait()
		var tasks []task
		var order []int
		holders := map[int]*holder{}
		submit := func(id int, actions ...vrrp.Action) {
			if holders[id] == nil {
				holders[id] = &holder{key: routerKey{"eth0", vrrp.IPv4, uint8(id)}}
			}
			tasks = append(tasks, task{holder: holders[id], actions: actions, done: func() { order = append(order, id) }})
		}
		address := func(id int) []vrrp.Address {
			return []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(id)}), 32)}}
		}
		run := func(calls int) {
			t.Helper()
			g.kernel.calls, order, g.bursts = 0, nil, nil
			g.mu.Lock()
			g.tasks = tasks
			g.mu.Unlock()
			tasks = nil
			g.wake.notify()
			synctest.Wait()
			if g.kernel.calls != calls {
				t.Errorf("%d system calls to add addresses, want %d", g.kernel.calls, calls)
			}
		}
		for id := range 100 {
			submit(id, vrrp.AddAddresses{Addresses: address(id)}, vrrp.SendAnnouncements{Addresses: address(id)})
		}
		run((100 + takeoverBatch - 1) / takeoverBatch)
		if len(order) != 100 || !slices.IsSorted(order) || len(g.bursts) != 100 || len(strings.Fields(g.kernel.get(2))) != 100 {
			t.Errorf("done %v, %d bursts, addresses %s", order, len(g.bursts), g.kernel.get(2))
		}
		submit(100, vrrp.AddAddresses{Addresses: address(100)})
		submit(1, vrrp.RemoveAddresses{Addresses: address(1)})
		submit(1, vrrp.AddAddresses{Addresses: address(1)})
		submit(1, vrrp.AddAddresses{Addresses: address(101)})
		run(3)
		if got := g.kernel.get(2); len(order) != 4 || len(strings.Fields(got)) != 102 || !strings.Contains(got, "10.9.1.1/32") {
			t.Errorf("done %v, addresses %s", order, got)
		}
		// A withdrawn takeover adds nothing.
		submit(102, vrrp.AddAddresses{Addresses: address(102)})
		submit(103, vrrp.AddAddresses{Addresses: address(103)})
		tasks[1].claim = &claim{}
		tasks[1].claim.take()
		run(1)
		if got := g.kernel.get(2); len(order) != 1 || strings.Contains(got, "10.9.1.103/32") {
			t.Errorf("done %v, addresses %s", order, got)
		}
	})
}

// TestManyTakeovers checks that the first of many routers that take over together advertise, and get their addresses, while the
// others still wait.
func TestManyTakeovers(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(fullHouse(100, 100*time.Millisecond)...)
	g.holding, g.quiet = true, true
	g.now = g.engine.timers.next()
	g.engine.timers.fire(g.now)
	if n := len(g.engine.tasks); n != preparedMost {
		t.Errorf("the addresses of %d routers are added ahead", n)
	}
	g.now = g.now.Add(vrrp.PrepareTime)
	g.engine.timers.fire(g.now)
	if late := 255 % manyTasks; len(g.tasks) != 255-late || len(g.engine.tasks) != late {
		t.Errorf("%d tasks are passed on, %d wait", len(g.tasks), len(g.engine.tasks))
	}
	if n := len(g.engine.wires[socketKey{Interface: "eth0", Family: vrrp.IPv4}].outbox.messages); n > manyTasks+preparedMost {
		t.Errorf("%d adverts wait", n)
	}
}
