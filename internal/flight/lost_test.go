package flight

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestLost checks that a recorder whose file is truncated, or whose file system is full, does not disturb the router, and records
// again later.
func TestLost(t *testing.T) {
	r, f := openInMemory(t)
	var reports []error
	r.Report = func(err error) { reports = append(reports, err) }
	now := r.base
	var nodes []*node
	step := func(nd *node, ev vrrp.Event) {
		nd.log.Event(ev, now)
		for _, a := range nd.machine.Step(ev, now) {
			if c, ok := a.(vrrp.Changed); ok {
				nd.log.Changed(c, now)
			}
		}
	}
	begin := func(id uint8) *node {
		in := instance(100)
		in.VirtualRouterID = id
		nd := &node{in: in, machine: vrrp.NewMachine(in)}
		nd.log = r.Begin(in.Interface, in.Family, id, nd.machine, now)
		nd.log.Start(&in, now)
		nodes = append(nodes, nd)
		step(nd, vrrp.Up{Source: netip.AddrFrom4([4]byte{10, 0, 0, id})})
		return nd
	}
	begin(1)
	begin(2)
	for _, size := range []int64{0, pageSize} {
		reports = nil
		ended := begin(100)
		nodes = nodes[:len(nodes)-1]
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			now = now.Add(time.Second)
			for _, nd := range nodes {
				step(nd, vrrp.Timeout{})
			}
		}
		begin(uint8(len(nodes) + 1))
		if len(reports) != 1 || !strings.Contains(reports[0].Error(), "truncated") {
			t.Errorf("truncated to %d: reported %v, want one report that it was truncated", size, reports)
		}
		ended.log.End(now)
		now = now.Add(retryAfter)
		for i := range nodes { // in an order other than that of the slots
			step(nodes[len(nodes)-1-i], vrrp.Down{Reason: vrrp.ReasonInterfaceDown})
		}
		if len(reports) != 2 || reports[1] != nil {
			t.Errorf("truncated to %d: reported %v, want another report that it works again", size, reports)
		}
		all, err := Read(f)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Decode(all)
		if err != nil {
			t.Fatal(err)
		}
		found := map[uint8]int{}
		for _, router := range list {
			if len(router.Records) == 0 || router.VirtualRouterID == 100 {
				continue
			}
			if router.Records[0].Kind == Snapshot {
				found[router.VirtualRouterID]++
			}
			transitions := Replay(router.Records)
			if len(transitions) == 0 {
				t.Errorf("truncated to %d: router %d has no transition", size, router.VirtualRouterID)
			}
			for _, tr := range transitions {
				if !tr.Same() {
					t.Errorf("truncated to %d: recorded %v, replayed %v", size, tr.Recorded, tr.Replayed)
				}
			}
		}
		for _, nd := range nodes {
			if id := nd.in.VirtualRouterID; found[id] != 1 {
				t.Errorf("truncated to %d: router %d is recorded %d times\n%v", size, id, found[id], list)
			}
		}
		for _, nd := range nodes {
			step(nd, vrrp.Up{Source: netip.AddrFrom4([4]byte{10, 0, 0, nd.in.VirtualRouterID})})
		}
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(r.all, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	step(nodes[0], vrrp.Timeout{})
}

// TestLostGap checks that a replay does not take what was lost for an error of the machine.
func TestLostGap(t *testing.T) {
	w := newNetwork(4, 3)
	w.run(3 * time.Second)
	for range 3 {
		w.nodes[0].log.recorder.lose(w.now)
		w.disturb()
		w.run(retryAfter + time.Second)
	}
	list, err := Decode(w.memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, router := range list {
		for _, tr := range Replay(router.Records) {
			if !tr.Same() {
				t.Errorf("router %d: recorded %v, replayed %v", router.VirtualRouterID, tr.Recorded, tr.Replayed)
			}
		}
	}
}
