//go:build !race

package vrrp

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// explorer visits worlds, depth first. It follows the course without further faults to its end before it tries faults on
// the way.
type explorer struct {
	seen    map[[2]uint64]uint8 // ticks until the state remains settled, plus 1; 0 while it is being followed
	seeds   [2]maphash.Seed
	key     []byte
	course  []followed // states that are being followed
	path    []string   // events that led here
	bounds  exploreBounds
	longest exploreBounds
	broken  string
}

type followed struct {
	hash    [2]uint64
	settled bool
}

// exploreBounds are in ticks.
type exploreBounds struct{ unheld, overlap, election uint8 }

func newExplorer(b exploreBounds) *explorer {
	return &explorer{seen: map[[2]uint64]uint8{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, bounds: b}
}

func (e *explorer) fail(format string, args ...any) {
	if e.broken == "" {
		e.broken = fmt.Sprintf(format, args...) + "\nafter: " + strings.Join(e.path, " ")
	}
}

// visit visits a world and returns its entry in seen.
func (e *explorer) visit(w *world) uint8 {
	e.key = w.encode(e.key[:0])
	hash := [2]uint64{maphash.Bytes(e.seeds[0], e.key), maphash.Bytes(e.seeds[1], e.key)}
	if v, known := e.seen[hash]; known {
		if v == 0 {
			e.cycle(hash)
			return 1
		}
		return v
	}
	e.seen[hash] = 0
	e.judge(w)
	settled := w.settled()
	e.course = append(e.course, followed{hash, settled})
	next := w.clone()
	next.pass()
	e.path = append(e.path, ".")
	v := e.visit(next)
	e.path = e.path[:len(e.path)-1]
	e.course = e.course[:len(e.course)-1]
	if !(settled && v == 1) && !w.paused() {
		v = min(v+1, 255)
	}
	e.longest.election = max(e.longest.election, v-1)
	if v-1 > e.bounds.election {
		e.fail("the election takes %d ticks", v-1)
	}
	e.seen[hash] = v
	w.troubles(func(name string, after *world) {
		if e.broken == "" {
			e.path = append(e.path, name)
			e.visit(after)
			e.path = e.path[:len(e.path)-1]
		}
	})
	return v
}

// cycle handles a course that has returned to an earlier state. It repeats forever, so all states since then must be
// settled.
func (e *explorer) cycle(hash [2]uint64) {
	from := slices.IndexFunc(e.course, func(f followed) bool { return f.hash == hash })
	for _, f := range e.course[from:] {
		if !f.settled {
			e.fail("no router becomes the only master, ever")
			return
		}
	}
}

func (e *explorer) judge(w *world) {
	unheld := max(w.unheld[0], w.unheld[1])
	e.longest.unheld = max(e.longest.unheld, unheld)
	e.longest.overlap = max(e.longest.overlap, w.overlap)
	switch wrong := w.misplaced(); {
	case wrong != "":
		e.fail("%s", wrong)
	case unheld > e.bounds.unheld:
		e.fail("no router has had the addresses for %d ticks", unheld)
	case w.overlap > e.bounds.overlap:
		e.fail("two masters have received each other's adverts for %d ticks", w.overlap)
	}
}

func (w *world) paused() bool {
	return slices.ContainsFunc(w.nodes[:w.n], func(nd node) bool { return nd.paused > 0 })
}

// troubles yields all faults that may occur now.
func (w *world) troubles(yield func(string, *world)) {
	if w.faults > 0 {
		for i, p := range w.packets {
			try := func(name string, change func(c *world)) {
				c := w.clone()
				c.faults, c.overlap = c.faults-1, 0
				change(c)
				yield(fmt.Sprintf("%s:r%d>r%d", name, p.from, p.to), c)
			}
			try("lose", func(c *world) { c.packets = slices.Delete(c.packets, i, i+1) })
			if !p.late {
				try("delay", func(c *world) { c.packets[i].late = true })
				try("double", func(c *world) { c.packets = append(c.packets, transit{p.from, p.to, p.priority, true}) })
			}
		}
		for i := range w.n {
			if nd := &w.nodes[i]; !nd.off && nd.paused == 0 {
				for _, long := range []uint8{1, longPause} {
					c := w.clone()
					c.faults, c.overlap, c.unheld = c.faults-1, 0, [2]uint8{}
					c.nodes[i].paused = long
					yield(fmt.Sprintf("pause%d:r%d", long, i), c)
				}
			}
		}
	}
	if w.events > 0 {
		w.happenings(func(name string, i int, change func(c *world, nd *node)) {
			c := w.clone()
			c.events, c.overlap, c.unheld = c.events-1, 0, [2]uint8{}
			change(c, &c.nodes[i])
			yield(fmt.Sprintf("%s:r%d", name, i), c)
		})
	}
}

// happenings yields all events that may happen to a router.
func (w *world) happenings(yield func(name string, i int, change func(c *world, nd *node))) {
	yield("cut", 0, func(c *world, _ *node) { c.cut = !c.cut })
	for i := range w.n {
		nd := &w.nodes[i]
		if nd.off {
			yield("boot", i, func(c *world, nd *node) {
				*nd = node{m: *NewMachine(nd.m.in)}
				c.step(i, Up{Source: source(i)})
			})
			continue
		}
		if nd.paused > 0 || nd.stopped {
			continue
		}
		yield("power-off", i, func(c *world, nd *node) {
			*nd = node{m: nd.m, off: true}
			c.packets = slices.DeleteFunc(c.packets, func(p transit) bool { return p.to == i })
		})
		yield("restart", i, func(c *world, nd *node) {
			master := nd.m.State() == Master
			*nd = node{m: *NewMachine(nd.m.in), owned: master}
			c.step(i, Up{Source: source(i), HaveAddresses: master, Adopt: master})
		})
		yield("stop", i, func(c *world, nd *node) {
			nd.stopped = true
			c.step(i, Resign{ReasonResignStop})
		})
		for bit, t := range trackList {
			yield(t.Name, i, func(c *world, nd *node) {
				nd.tracks ^= 1 << bit
				c.step(i, SetTracks{trackSets[nd.tracks]})
			})
		}
	}
}

// trackSets holds all subsets of trackList.
var trackSets = func() (sets [16][]Track) {
	for bits := range sets {
		for i, t := range trackList {
			if bits>>i&1 == 1 {
				sets[bits] = append(sets[bits], t)
			}
		}
	}
	return sets
}()

// TestExploration visits all states within a small bound. TestProofExploration uses larger ones.
func TestExploration(t *testing.T) { explore(t, 1, 0, 1, 0) }

// explore visits the states of several pairs, and of three routers.
func explore(t *testing.T, events2, faults2, events3, faults3 int) {
	slow := func(priority uint8, change ...func(*Instance)) Instance {
		in := v3(change...)
		in.AdvertiseInterval, in.Priority = 4*tick, priority
		return in
	}
	nopreempt := func(in *Instance) { in.Preempt = false }
	delay := func(in *Instance) { in.PreemptDelay = 6 * tick }
	total := 0
	begun := cpuTime()
	for _, c := range []struct {
		name    string
		routers []Instance
	}{
		{"pair", []Instance{slow(192), slow(128)}},
		{"nopreempt", []Instance{slow(192, nopreempt), slow(128, nopreempt)}},
		{"equal", []Instance{slow(128), slow(128)}},
		{"delay", []Instance{slow(192, delay), slow(128)}},
		{"owner", []Instance{slow(255), slow(128)}},
		{"three", []Instance{slow(192), slow(128), slow(64)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, faults := events2, faults2
			if len(c.routers) > 2 {
				events, faults = events3, faults3
			}
			e := newExplorer(exploreBounds{unheld: 16 + 2, overlap: 4 + 2, election: 5 + 6 + 2*(16+4) + 4})
			e.visit(newWorld(events, faults, c.routers...))
			if e.broken != "" {
				t.Error(e.broken)
			}
			t.Logf("%d states with %d events and %d faults of the network; at most %d ticks without holder, %d with two masters, %d to elect",
				len(e.seen), events, faults, e.longest.unheld, e.longest.overlap, e.longest.election)
			total += len(e.seen)
		})
	}
	t.Logf("%d states, %.0f per CPU second", total, float64(total)/(cpuTime()-begun).Seconds())
}

// TestEncodeCoversEveryField fails if a field is added, until encode and its list of fields are updated.
func TestEncodeCoversEveryField(t *testing.T) {
	known := strings.Fields(`in tracks effects missing state reason since transitions source owns early earlyUntil due again refresh reassert sent answered
		owed yielded flaps announced master masterLeft rival preemptAfter started leaving actions`)
	of := reflect.TypeFor[Machine]()
	for i := range of.NumField() {
		if name := of.Field(i).Name; !slices.Contains(known, name) {
			t.Errorf("the field %s: see Machine.encode and Machine.shift", name)
		}
	}
}
