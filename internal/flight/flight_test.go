package flight

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func instance(priority uint8) vrrp.Instance {
	return vrrp.Instance{
		Name: "web", Interface: "eth0", VirtualRouterID: 51, Version: 3, Family: vrrp.IPv4, Priority: priority, AdvertiseInterval: 100 * time.Millisecond,
		Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix("10.0.0.100/24")}}, Preempt: true, Announce: vrrp.Announce{Count: 1, RepeatAfter: time.Second},
	}
}

// node is a recorded machine.
type node struct {
	machine *vrrp.Machine
	log     *Log
	source  netip.Addr
	stalled time.Time // it does nothing until then
	queue   []vrrp.Received
	in      vrrp.Instance
	changes int
}

// network is a LAN of recorded machines whose clock the test advances.
type network struct {
	now    time.Time
	random *rand.Rand
	memory []byte
	nodes  []*node
	loss   float64
	cut    bool
}

func newNetwork(seed uint64, n int) *network {
	w := &network{now: time.Now(), random: rand.New(rand.NewPCG(seed, 1)), memory: make([]byte, pageSize+4*slotSize)}
	recorder := over(w.memory, func() int64 { return int64(time.Hour) })
	w.now = recorder.base
	for i := range n {
		in := instance(uint8(100 + 10*w.random.IntN(5)))
		in.VirtualRouterID = uint8(i + 1) // each has a slot; the machine does not care
		in.Preempt = w.random.IntN(4) > 0
		if w.random.IntN(3) == 0 {
			in.PreemptDelay = time.Duration(w.random.IntN(500)) * time.Millisecond
		}
		m := vrrp.NewMachine(in)
		nd := &node{machine: m, in: in, source: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})}
		nd.log = recorder.Begin(in.Interface, in.Family, in.VirtualRouterID, m, w.now)
		nd.log.Start(&in, w.now)
		w.nodes = append(w.nodes, nd)
		w.step(nd, vrrp.Up{Source: nd.source}, w.now)
	}
	return w
}

func (w *network) step(nd *node, ev vrrp.Event, now time.Time) {
	nd.log.Event(ev, now)
	for _, a := range nd.machine.Step(ev, now) {
		switch a := a.(type) {
		case vrrp.Changed:
			nd.changes++
			nd.log.Changed(a, now)
		case vrrp.SendAdvert:
			for _, to := range w.nodes {
				if to != nd && w.random.Float64() >= w.loss && !(w.cut && (to == w.nodes[0] || nd == w.nodes[0])) {
					at := now.Add(time.Duration(w.random.IntN(3000)) * time.Microsecond)
					to.queue = append(to.queue, vrrp.Received{Source: nd.source, Priority: a.Priority, Interval: nd.in.AdvertiseInterval, At: at})
				}
			}
		}
	}
}

// run advances the clock in small steps.
func (w *network) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(time.Duration(200+w.random.IntN(800)) * time.Microsecond)
		for _, nd := range w.nodes {
			if w.now.Before(nd.stalled) {
				continue
			}
			slices.SortStableFunc(nd.queue, func(a, b vrrp.Received) int { return a.At.Compare(b.At) })
			for len(nd.queue) > 0 && !nd.queue[0].At.After(w.now) {
				r := nd.queue[0]
				nd.queue = nd.queue[1:]
				if nd.machine.State() != vrrp.Initialize {
					w.step(nd, r, w.now)
				}
			}
			if due, ok := nd.machine.Deadline(); ok && !due.After(w.now) {
				w.step(nd, vrrp.Timeout{}, w.now)
			}
		}
	}
}

// disturb does something to a node or to the network.
func (w *network) disturb() {
	nd := w.nodes[w.random.IntN(len(w.nodes))]
	tracks := [][]vrrp.Track{
		nil,
		{{Name: "eth1", Kind: vrrp.TrackInterfaceLink, Effect: vrrp.EffectOffset, Offset: -50}},
		{{Name: "director", Kind: vrrp.TrackDirector, Effect: vrrp.EffectLastResort}},
		{{Name: "script", Kind: vrrp.TrackScript, Effect: vrrp.EffectFault, Reason: "exit status 1"}},
		{{Name: "sync", Kind: vrrp.TrackConnectionSync, Effect: vrrp.EffectHold, Reason: "learning"}},
	}
	switch w.random.IntN(9) {
	case 0:
		nd.stalled = w.now.Add(time.Duration(w.random.IntN(2000)) * time.Millisecond)
	case 1:
		w.loss = []float64{0, 0, 0.1, 0.5}[w.random.IntN(4)]
	case 2:
		w.cut = !w.cut
	case 3:
		nd.in.Priority = uint8(100 + 10*w.random.IntN(5))
		w.step(nd, vrrp.Configure{Instance: nd.in}, w.now)
	case 4, 5:
		w.step(nd, vrrp.SetTracks{Tracks: tracks[w.random.IntN(len(tracks))]}, w.now)
	case 6:
		w.step(nd, vrrp.Down{Reason: vrrp.ReasonInterfaceDown}, w.now)
		w.run(time.Duration(w.random.IntN(1000)) * time.Millisecond)
		w.step(nd, vrrp.Up{Source: nd.source}, w.now)
	case 7:
		w.step(nd, vrrp.Received{Source: netip.MustParseAddr("10.0.0.99"), Priority: uint8(w.random.IntN(256)), Interval: 100 * time.Millisecond}, w.now)
	case 8:
		nd.log.Dropped(vrrp.DropAuthFailed, netip.MustParseAddr("10.0.0.98"), w.now)
	}
}

// TestReplay plays random histories of two or three routers and checks that each recording replays to the same transitions,
// also where the beginning of the history was overwritten.
func TestReplay(t *testing.T) {
	total, partial := 0, 0
	for seed := range uint64(80) {
		w := newNetwork(seed, 2+int(seed%2))
		for range 5 + w.random.IntN(25) {
			w.run(time.Duration(w.random.IntN(3000)) * time.Millisecond)
			w.disturb()
		}
		routers, err := Decode(w.memory)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range routers {
			if r.Records[0].Kind != Start {
				partial++
			}
			list := Replay(r.Records)
			for _, one := range list {
				if !one.Same() {
					t.Fatalf("seed %d, router %d: recorded %v, replayed %v\n%s", seed, i, one.Recorded, one.Replayed, text(r.Records))
				}
			}
			total += len(list)
			if r.Records[0].Kind == Start && len(list) != w.nodes[i].changes {
				t.Fatalf("seed %d, router %d: %d transitions replayed, %d recorded", seed, i, len(list), w.nodes[i].changes)
			}
		}
	}
	t.Logf("%d transitions; the beginning was lost %d times", total, partial)
	if total == 0 || partial == 0 {
		t.Error("the histories are too short")
	}
}

func text(records []Record) (out string) {
	for _, r := range records {
		out += fmt.Sprintf("%d %s %s..%s count %d late %s from %s prio %d own %d %s>%s %s\n", r.Sequence, r.Kind, r.First, r.At, r.Count, r.Late, r.Source, r.Priority, r.Own, r.From, r.To, r.Text)
	}
	return out
}

// TestTorn damages the last record at every place, as a process that was killed while it wrote, and checks that the rest is
// still read.
func TestTorn(t *testing.T) {
	w := newNetwork(1, 2)
	w.run(2 * time.Second)
	w.step(w.nodes[0], vrrp.Down{Reason: vrrp.ReasonInterfaceDown}, w.now)
	whole, err := Decode(w.memory)
	if err != nil || len(whole) != 2 {
		t.Fatalf("%v, %d routers", err, len(whole))
	}
	n := len(whole[0].Records)
	end := pageSize + slotHead + int(w.nodes[0].log.head.next) // in the first part
	last := whole[0].Records[n-1]
	for i := end - sizeOf(len(last.Text)); i < end; i++ {
		torn := slices.Clone(w.memory)
		torn[i] ^= 0xff
		got, err := Decode(torn)
		if err != nil || len(got) != 2 || len(got[0].Records) != n-1 || len(got[1].Records) != len(whole[1].Records) {
			t.Fatalf("byte %d: %v, %d records of %d", i, err, len(got[0].Records), n)
		}
	}
}

// TestContinued checks that a process continues the recording of one that was killed, including its open runs.
func TestContinued(t *testing.T) {
	w := newNetwork(2, 2)
	w.run(3 * time.Second)
	before, err := Decode(w.memory)
	if err != nil {
		t.Fatal(err)
	}
	next := over(w.memory, func() int64 { return int64(time.Hour) })
	next.base = w.now
	m := vrrp.NewMachine(w.nodes[0].in)
	log := next.Begin("eth0", vrrp.IPv4, 1, m, w.now)
	log.Start(&w.nodes[0].in, w.now)
	after, err := Decode(w.memory)
	if err != nil {
		t.Fatal(err)
	}
	got, want := after[0].Records, before[0].Records
	if len(got) != len(want)+1 || got[len(got)-1].Kind != Start || text(got[len(want)-1:len(want)]) != text(want[len(want)-1:]) {
		t.Errorf("continued as\n%safter\n%s", text(got), text(want))
	}
	if n := len(after[1].Records); n != len(before[1].Records) {
		t.Errorf("the other router has %d records, had %d", n, len(before[1].Records))
	}
}

// TestNoisy checks that a router with many events does not displace the records of another.
func TestNoisy(t *testing.T) {
	w := newNetwork(3, 2)
	w.run(time.Second)
	before, _ := Decode(w.memory)
	for i := range 10_000 {
		w.now = w.now.Add(time.Microsecond)
		w.step(w.nodes[0], vrrp.Received{Source: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Priority: uint8(i), Interval: time.Second}, w.now)
	}
	after, err := Decode(w.memory)
	if err != nil || len(after) != 2 {
		t.Fatal(err)
	}
	if text(after[1].Records) != text(before[1].Records) {
		t.Error("the quiet router's records have changed")
	}
	for _, r := range Replay(after[0].Records) {
		if !r.Same() {
			t.Errorf("recorded %v, replayed %v", r.Recorded, r.Replayed)
		}
	}
}

// TestUnusedPages checks that a slot that another router has used is empty for the next one, and that two routers with few events
// take one page.
func TestUnusedPages(t *testing.T) {
	r, f := openInMemory(t)
	const routers = 100
	now := r.base
	begin := func(id int) *Log {
		in := instance(100)
		in.VirtualRouterID = uint8(id)
		l := r.Begin(in.Interface, in.Family, in.VirtualRouterID, vrrp.NewMachine(in), now)
		l.Start(&in, now)
		return l
	}
	var first *Log
	for id := 1; id <= routers; id++ {
		if l := begin(id); id == 1 {
			first = l
		}
	}
	var used unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &used); err != nil {
		t.Fatal(err)
	}
	if most := int64(1 + routers/2); used.Blocks*512 > most*int64(os.Getpagesize()) {
		t.Errorf("%d routers that have started take %d bytes, want at most %d pages", routers, used.Blocks*512, most)
	}
	for range ringSize / headerSize {
		first.SendFailed("no route to host", now)
	}
	first.End(now)
	copy(r.taken[routers:], slices.Repeat([]bool{true}, slots)) // the file is full
	r.head.used = slots
	begin(200)
	all, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Read(bytes.NewReader(all)); err != nil || !bytes.Equal(again, all) {
		t.Errorf("a saved recording cannot be read: %v", err)
	}
	list, err := Decode(all)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r Router) bool { return r.VirtualRouterID == 200 })
	if i < 0 || len(list[i].Records) != 1 || slices.ContainsFunc(list, func(r Router) bool { return r.VirtualRouterID == 1 }) {
		t.Errorf("router 200, in the slot of router 1: %v", list)
	}
}

// FuzzDecode checks that any contents can be read and replayed.
func FuzzDecode(f *testing.F) {
	w := newNetwork(4, 2)
	w.run(time.Second)
	f.Add(w.memory, 0, byte(0))
	f.Add(w.memory, pageSize+40, byte(7))
	f.Fuzz(func(_ *testing.T, b []byte, at int, value byte) {
		if at >= 0 && at < len(b) {
			b = slices.Clone(b)
			b[at] = value
		}
		list, err := Decode(b)
		if err != nil {
			return
		}
		for _, r := range list {
			Replay(r.Records)
		}
	})
}

// TestBriefReason cuts a long reason between characters, and shows that it does.
func TestBriefReason(t *testing.T) {
	long := strings.Repeat("a", briefReason-4) + "äöü"
	got := brief([]vrrp.Track{{Reason: "short"}, {Reason: long}})
	if got[0].Reason != "short" || len(got[1].Reason) > briefReason || got[1].Reason != strings.Repeat("a", briefReason-4)+"…" {
		t.Errorf("%q", got[1].Reason)
	}
}

// TestSavedAt checks that a copy of a recording keeps the time at which it was read from the recording.
func TestSavedAt(t *testing.T) {
	w := newNetwork(1, 2)
	before := time.Now()
	all, err := Read(bytes.NewReader(w.memory))
	if err != nil {
		t.Fatal(err)
	}
	saved := SavedAt(all)
	if saved.Before(before.Round(0)) || saved.After(time.Now()) {
		t.Errorf("saved at %s, want now", saved)
	}
	again, err := Read(bytes.NewReader(all))
	if err != nil || !SavedAt(again).Equal(saved) {
		t.Errorf("the copy was saved at %s (%v), want %s", SavedAt(again), err, saved)
	}
	if at := SavedAt(w.memory); !at.IsZero() {
		t.Errorf("the recording itself was saved at %s", at)
	}
	if at := SavedAt(all[:100]); !at.IsZero() {
		t.Errorf("a part was saved at %s", at)
	}
}

// openInMemory returns a recorder and its file, which is in memory.
func openInMemory(t *testing.T) (*Recorder, *os.File) {
	t.Helper()
	fd, err := unix.MemfdCreate(MemoryName, unix.MFD_CLOEXEC)
	if err != nil {
		t.Skip(err)
	}
	f := os.NewFile(uintptr(fd), MemoryName)
	t.Cleanup(func() { f.Close() })
	r, err := Open(f, func() int64 { return int64(time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	return r, f
}
