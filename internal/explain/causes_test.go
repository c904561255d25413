package explain

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// host is a recorded machine on the test's network.
type host struct {
	w         *world
	file      *os.File
	recorder  *flight.Recorder
	machine   *vrrp.Machine
	log       *flight.Log
	in        vrrp.Instance
	source    netip.Addr
	stalled   time.Time
	off, deaf bool
	refuse    vrrp.DropReason // of all adverts that arrive
	queue     []vrrp.Received
}

// world is two hosts whose clock the test advances: a with priority 150, b with 100, adverts every 100 ms.
type world struct {
	t      *testing.T
	now    time.Time
	a, b   *host
	lossy  bool // no advert arrives anywhere
	silent *host
}

func newWorld(t *testing.T, setup ...func(a, b *vrrp.Instance)) *world {
	w := &world{t: t, now: time.Now()}
	in := vrrp.Instance{
		Name: "web", Interface: "eth0", VirtualRouterID: 51, Version: 3, Family: vrrp.IPv4, Priority: 150, AdvertiseInterval: 100 * time.Millisecond,
		Addresses: []vrrp.Address{{Prefix: netip.MustParsePrefix("10.0.0.100/24")}}, Preempt: true, Announce: vrrp.Announce{Count: 1},
	}
	second := in
	second.Priority = 100
	for _, f := range setup {
		f(&in, &second)
	}
	w.a, w.b = w.host(in, 1), w.host(second, 2)
	return w
}

func (w *world) host(in vrrp.Instance, id byte) *host {
	f, err := flight.Create("/proc", func(string) *os.File { return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	h := &host{w: w, file: f, in: in, source: netip.AddrFrom4([4]byte{10, 0, 0, id}), off: true}
	w.t.Cleanup(func() { f.Close() })
	return h
}

// boot starts a process.
func (h *host) boot(adopt bool) {
	r, err := flight.Open(h.file, func() int64 { return time.Now().UnixNano() })
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.recorder, h.machine, h.off, h.queue = r, vrrp.NewMachine(h.in), false, nil
	h.log = r.Begin(h.in.Interface, h.in.Family, h.in.VirtualRouterID, h.machine, h.w.now)
	h.log.Start(&h.in, h.w.now)
	h.step(vrrp.Up{Source: h.source, HaveAddresses: adopt, Adopt: adopt})
}

func (h *host) step(ev vrrp.Event) {
	h.log.Event(ev, h.w.now)
	added := 0
	for _, a := range h.machine.Step(ev, h.w.now) {
		switch a := a.(type) {
		case vrrp.Changed:
			h.log.Changed(a, h.w.now)
		case vrrp.AddAddresses:
			added = len(a.Addresses)
		case vrrp.SendAdvert:
			to := h.w.a
			if h == to {
				to = h.w.b
			}
			if !h.w.lossy && h.w.silent != h && !to.off && !to.deaf {
				to.queue = append(to.queue, vrrp.Received{Source: h.source, Priority: a.Priority, Interval: h.in.AdvertiseInterval, At: h.w.now})
			}
		}
	}
	if added > 0 {
		h.log.Addresses(flight.StepAdd|flight.StepAnnounce, added, "", 3*time.Millisecond, h.w.now)
	}
}

// run advances the clock.
func (w *world) run(d time.Duration) *world {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(time.Millisecond)
		for _, h := range []*host{w.a, w.b} {
			if h.off || w.now.Before(h.stalled) {
				continue
			}
			for len(h.queue) > 0 {
				r := h.queue[0]
				h.queue = h.queue[1:]
				switch {
				case h.refuse != vrrp.NotDropped:
					h.log.Dropped(h.refuse, r.Source, w.now)
				case h.machine.State() != vrrp.Initialize:
					h.step(r)
				}
			}
			if due, ok := h.machine.Deadline(); ok && !due.After(w.now) {
				h.step(vrrp.Timeout{})
			}
		}
	}
	return w
}

// pair starts both hosts; a is master.
func (w *world) pair() *world {
	w.a.boot(false)
	w.run(500 * time.Millisecond)
	w.b.boot(false)
	return w.run(time.Second)
}

func (h *host) track(kind vrrp.TrackKind, effect vrrp.Effect, offset int) {
	h.step(vrrp.SetTracks{Tracks: []vrrp.Track{{Name: "t", Kind: kind, Effect: effect, Offset: offset, Reason: "exit status 1"}}})
}

func (h *host) clear() { h.step(vrrp.SetTracks{}) }

func (h *host) reload(change func(in *vrrp.Instance)) {
	change(&h.in)
	h.step(vrrp.Configure{Instance: h.in})
}

func (h *host) stall(d time.Duration) { h.stalled = h.w.now.Add(d) }

// routers returns what a host recorded.
func (h *host) routers() []flight.Router {
	raw, err := flight.Read(h.file)
	if err != nil {
		h.w.t.Fatal(err)
	}
	list, err := flight.Decode(raw)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return list
}

// injected is a cause and the codes that the explanation of the host must give.
type injected struct {
	name   string
	setup  func(a, b *vrrp.Instance)
	inject func(w *world)
	onA    bool // whose last transition is explained
	reason vrrp.Reason
	want   Code
	peer   Code // with the other host's recording; empty: not asserted
}

func settle(w *world) { w.run(2 * time.Second) }

func injectedCauses() []injected {
	return slices.Concat(silenceCases(), refusedCases(), trackCases(), operatorCases(), preemptCases(), faultCases())
}

func TestCauses(t *testing.T) {
	all := injectedCauses()
	if len(all) < 50 {
		t.Errorf("only %d causes are injected", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			var w *world
			if c.setup != nil {
				w = newWorld(t, c.setup)
			} else {
				w = newWorld(t)
			}
			c.inject(w)
			h, other := w.b, w.a
			if c.onA {
				h, other = w.a, w.b
			}
			routers := h.routers()
			s, ok := Tell(routers[0], w.now.Add(time.Hour))
			if !ok {
				t.Fatal("no transition is recorded")
			}
			if s.Reason != c.reason || s.Cause != c.want {
				t.Errorf("%s (%s), want %s (%s): %s\n%+v", s.Cause, s.Reason, c.want, c.reason, s.Text, s.Seen)
			}
			if s.Text == "" || s.Rule == "" || strings.Contains(s.Text, "higher priority 0") || strings.HasPrefix(s.Text, string(s.Cause)) {
				t.Errorf("no text: %+v", s)
			}
			if c.peer != "" {
				for _, saved := range []time.Time{{}, s.Time.Add(time.Second)} {
					if p := Beside(s, routers[0], other.routers(), saved); p == nil || p.Cause != c.peer {
						t.Errorf("the peer's recording gives %+v, want %s", p, c.peer)
					}
				}
				if p := Beside(s, routers[0], other.routers(), s.Time.Add(-time.Minute)); p == nil || p.Cause != PeerTooOld {
					t.Errorf("the peer's recording of a minute before gives %+v", p)
				}
			}
			for _, r := range flight.Replay(routers[0].Records) {
				if !r.Same() {
					t.Errorf("replayed %v, recorded %v", r.Replayed, r.Recorded)
				}
			}
		})
	}
}

// TestDocumentedCauses compares the list of injected causes in the internals; LVS_HA_UPDATE=1 writes it.
func TestDocumentedCauses(t *testing.T) {
	const file, head = "../../docs/internals/explain.md", "| cause | troubles |\n| --- | --- |\n"
	byCode := map[Code][]string{}
	all := injectedCauses()
	for _, c := range all {
		byCode[c.want] = append(byCode[c.want], c.name)
	}
	var list strings.Builder
	list.WriteString(head)
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		fmt.Fprintf(&list, "| `%s` | %s |\n", code, strings.Join(byCode[code], "; "))
	}
	fmt.Fprintf(&list, "\n%d troubles.\n", len(all))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), head)
	want := before + list.String()
	if want == string(text) {
		return
	}
	if os.Getenv("LVS_HA_UPDATE") == "" {
		t.Fatalf("%s does not list what is injected; LVS_HA_UPDATE=1 writes it", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRecordingSavedBeforeACrash checks that a recording that was saved while the peer sent adverts does not say that it crashed a
// moment later, and that one saved after the crash does.
func TestRecordingSavedBeforeACrash(t *testing.T) {
	w := newWorld(t).pair()
	early, saved := w.a.routers(), w.now
	w.run(300 * time.Millisecond)
	w.a.off = true
	w.run(time.Second)
	routers := w.b.routers()
	s, ok := Tell(routers[0], w.now)
	if !ok || s.To != vrrp.Master {
		t.Fatalf("the crash is explained as %+v", s)
	}
	if p := Beside(s, routers[0], early, saved); p == nil || p.Cause != PeerTooOld {
		t.Errorf("saved before the crash: %+v", p)
	}
	if p := Beside(s, routers[0], w.a.routers(), w.now); p == nil || p.Cause != PeerCrashed {
		t.Errorf("saved after it: %+v", p)
	}
}

// TestRecordAmongTheAdverts checks that a peer that sent adverts all the time is believed, at whatever moment before the takeover it
// recorded something else between two of them.
func TestRecordAmongTheAdverts(t *testing.T) {
	for at := 100 * time.Millisecond; at < 500*time.Millisecond; at += 10 * time.Millisecond {
		w := newWorld(t).pair()
		w.lossy = true
		w.run(at)
		w.a.log.Conflict(vrrp.Conflict{Kind: vrrp.ConflictMaster, Router: w.b.source, Priority: 100}, w.now)
		w.run(time.Second)
		routers := w.b.routers()
		s, ok := Tell(routers[0], w.now)
		if !ok || s.To != vrrp.Master {
			t.Fatalf("the silence is explained as %+v", s)
		}
		if p := Beside(s, routers[0], w.a.routers(), w.now); p == nil || p.Cause != PeerSending {
			t.Errorf("with a record %v after the cut, the peer is explained as %+v", at, p)
		}
	}
}
