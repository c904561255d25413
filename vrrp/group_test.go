package vrrp

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sites holds a router's members of a group, one in each network.
type sites struct {
	rules   *Group
	lans    []*segment
	members []*member
	down    []bool // their links
}

// follow applies the effects of a member's step to the other members.
func (s *sites) follow(l *segment, r *member, from State) {
	for _, c := range s.rules.After(r.m, from) {
		i := slices.IndexFunc(s.members, func(o *member) bool { return o.m == c.Member })
		s.lans[i].now = l.now
		s.lans[i].step(s.members[i], c.Event)
	}
}

// share gives each member the tracks of the others in addition to its own.
func (s *sites) share() {
	for i, r := range s.members {
		tracks := slices.Clone(r.tracks)
		for j, o := range s.members {
			missing := Reason("")
			if s.down[j] {
				missing = ReasonInterfaceDown
			}
			if i != j {
				tracks = append(tracks, Shared("group", "other", missing, o.tracks)...)
			}
		}
		s.lans[i].tell(r, SetTracks{tracks})
	}
}

// link sets the state of a member's link.
func (s *sites) link(i int, down bool) {
	if s.members[i].dead || s.down[i] == down {
		return
	}
	s.down[i] = down
	if down {
		s.members[i].side = 9
		s.lans[i].tell(s.members[i], Down{ReasonInterfaceDown})
	}
	s.share()
	if !down {
		s.members[i].side = 0
		s.lans[i].start(s.members[i])
	}
}

func (s *sites) track(i int, t Track) {
	r := s.members[i]
	r.tracks = slices.DeleteFunc(slices.Clone(r.tracks), func(o Track) bool { return o.Name == t.Name && o.Kind == t.Kind })
	if t.Effect != EffectNone {
		r.tracks = append(r.tracks, t)
	}
	s.share()
}

// groups simulates several networks with the same routers, each of which has a group across all networks.
type groups struct {
	lans    []*segment
	routers []*sites
	mixed   map[*sites]time.Duration // since when a router is master with some of its members only
	split   string                   // the first split that lasted too long
}

// splitBound is how long a router may be master with some of its members only: while it adds addresses to its interfaces.
const splitBound = 5 * time.Millisecond

// check looks for routers that are master with some of their members only.
func (g *groups) check() {
	now := g.lans[0].now
	for _, s := range g.routers {
		masters, others := 0, 0
		for _, r := range s.members {
			switch {
			case r.dead:
			case r.m.State() == Master:
				masters++
			default:
				others++
			}
		}
		since, mixed := g.mixed[s]
		switch {
		case masters == 0 || others == 0:
			delete(g.mixed, s)
		case !mixed:
			if g.mixed == nil {
				g.mixed = map[*sites]time.Duration{}
			}
			g.mixed[s] = now
		case now-since > splitBound && g.split == "":
			g.split = s.members[0].name + " is split since " + since.String()
		}
	}
}

func drawGroups(t *rapid.T) *groups {
	g := &groups{}
	networks := rapid.IntRange(2, 3).Draw(t, "networks")
	priorities := rapid.SliceOfNDistinct(rapid.Uint8Range(2, 254), 2, 3, rapid.ID).Draw(t, "priorities")
	base := v3()
	if rapid.Bool().Draw(t, "version 2") {
		base = v2()
	}
	for n := range networks {
		var list []Instance
		for _, p := range priorities {
			in := base
			in.Priority = p
			list = append(list, in)
		}
		g.lans = append(g.lans, newSegment(rapid.Uint64().Draw(t, "seed")+uint64(n), list...))
	}
	for i := range priorities {
		s := &sites{lans: g.lans, down: make([]bool, networks)}
		var machines []*Machine
		for _, l := range g.lans {
			r := l.routers[i]
			r.group = s
			s.members = append(s.members, r)
			machines = append(machines, r.m)
		}
		s.rules = NewGroup(machines...)
		g.routers = append(g.routers, s)
	}
	for _, s := range g.routers {
		g.run(time.Duration(rapid.IntRange(0, 500).Draw(t, "start after")) * time.Millisecond)
		for i, r := range s.members {
			s.lans[i].start(r)
		}
	}
	g.settle()
	g.together(t)
	return g
}

// run advances the time in all networks, event by event.
func (g *groups) run(d time.Duration) {
	end := g.lans[0].now + d
	for {
		at, found := end, false
		for _, l := range g.lans {
			if next, ok := l.next(); ok && next <= at {
				at, found = next, true
			}
		}
		for _, l := range g.lans {
			l.run(max(at-l.now, 0))
		}
		g.check()
		if !found || at >= end {
			return
		}
	}
}

func (g *groups) settle() { g.run(20 * g.lans[0].routers[0].m.in.AdvertiseInterval) }

// together fails unless one router is the only master of all networks.
func (g *groups) together(t *rapid.T) *sites {
	t.Helper()
	if g.split != "" {
		t.Fatalf("%s:\n%s", g.split, g)
	}
	first := g.lans[0].in(Master)
	if len(first) != 1 {
		t.Fatalf("%d masters:\n%s", len(first), g)
	}
	for _, l := range g.lans {
		m := l.in(Master)
		if len(m) != 1 || m[0].group != first[0].group || l.owners() != 1 {
			t.Fatalf("the group is split:\n%s", g)
		}
	}
	return first[0].group
}

func (g *groups) String() (out string) {
	for i, l := range g.lans {
		out += "network " + string('0'+rune(i)) + ":\n" + l.String() + "\n"
	}
	return out
}

func (g *groups) kill(s *sites) {
	for i, l := range g.lans {
		l.kill(s.members[i])
	}
}

// movesOnce makes a change, and fails if a router then becomes master more than once.
func (g *groups) movesOnce(t *rapid.T, change func()) {
	t.Helper()
	before := map[*member]int{}
	for _, l := range g.lans {
		for _, r := range l.routers {
			before[r] = r.masterships
		}
	}
	change()
	g.settle()
	for i, l := range g.lans {
		for _, r := range l.routers {
			if n := r.masterships - before[r]; n > 1 {
				t.Fatalf("%s became master of network %d %d times:\n%s", r.name, i, n, g)
			}
		}
	}
}

// neverUnowned makes the test fail if no router owns the addresses of one of the networks.
func (g *groups) neverUnowned(t *rapid.T, but ...int) {
	for i, l := range g.lans {
		l.watch = func(l *segment) {
			if !slices.Contains(but, i) && l.owners() == 0 {
				t.Fatalf("no router owns the addresses of network %d at %s:\n%s", i, l.now, g)
			}
		}
	}
}

// TestGroupTakesOverWithItsFirstTimer checks that a failed router is replaced in all networks when the first member's
// timer expires.
func TestGroupTakesOverWithItsFirstTimer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroups(t)
		master := g.together(t)
		g.run(time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "µs")) * time.Microsecond)
		g.run(g.lans[0].delay) // adverts arrive
		first := time.Duration(1<<63 - 1)
		for _, r := range master.members {
			first = min(first, r.m.sent.Sub(epoch)-r.offset)
		}
		g.kill(master)
		g.settle()
		next := g.together(t)
		in := next.members[0].m.in
		limit := first + g.lans[0].delay + MasterDownInterval(in.Version, in.Priority, in.AdvertiseInterval)
		for _, r := range next.members {
			if r.becameMaster > limit {
				t.Fatalf("took over at %s, want %s:\n%s", r.becameMaster, limit, g)
			}
		}
	})
}

// TestGroupMovesAsOne checks that the failure of one member's link moves all members, without a gap in the other networks.
func TestGroupMovesAsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroups(t)
		master := g.together(t)
		g.run(time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "µs")) * time.Microsecond)
		i := rapid.IntRange(0, len(g.lans)-1).Draw(t, "network")
		g.neverUnowned(t, i)
		lost := g.lans[0].now
		master.link(i, true)
		g.settle()
		next := g.together(t)
		if next == master {
			t.Fatalf("it did not move:\n%s", g)
		}
		in := next.members[i].m.in
		if took := next.members[i].becameMaster - lost; took > SkewTime(in.Version, in.Priority, in.AdvertiseInterval)+10*time.Millisecond {
			t.Fatalf("took over the network whose link failed after %s:\n%s", took, g)
		}
		g.neverUnowned(t)
		master.link(i, false)
		g.settle()
		if g.together(t) != master {
			t.Fatalf("it did not come back:\n%s", g)
		}
	})
}

// TestGroupHandsOverWithoutAGap checks that a stop, fault or last resort of one member applies to all.
func TestGroupHandsOverWithoutAGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroups(t)
		g.neverUnowned(t)
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			master := g.together(t)
			i := rapid.IntRange(0, len(g.lans)-1).Draw(t, "network")
			change := rapid.SampledFrom([]Track{faulted, lost}).Draw(t, "track")
			g.movesOnce(t, func() { master.track(i, change) })
			if g.together(t) == master {
				t.Fatalf("it did not move:\n%s", g)
			}
			g.movesOnce(t, func() { master.track(i, without(change)) })
			g.together(t)
		}
	})
}

// TestGroupsComeTogether checks that after any disturbance, the best group is master in all networks.
func TestGroupsComeTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGroups(t)
		for range rapid.IntRange(1, 8).Draw(t, "disturbances") {
			s := rapid.SampledFrom(g.routers).Draw(t, "router")
			i := rapid.IntRange(0, len(g.lans)-1).Draw(t, "network")
			switch rapid.IntRange(0, 4).Draw(t, "disturbance") {
			case 0:
				g.lans[i].loss = rapid.Float64Range(0, 1).Draw(t, "loss")
			case 1:
				s.members[i].side = rapid.IntRange(0, 2).Draw(t, "side")
			case 2:
				s.link(i, true)
			case 3:
				s.track(i, faulted)
			case 4:
				s.track(i, lost)
			}
			g.run(time.Duration(rapid.IntRange(0, 5_000).Draw(t, "ms")) * time.Millisecond)
		}
		for i, l := range g.lans {
			l.loss = 0
			for _, s := range g.routers {
				s.members[i].side = 0
				s.link(i, false)
				s.track(i, without(faulted))
				s.track(i, without(lost))
			}
		}
		for range 4 {
			g.settle()
		}
		best := g.routers[0]
		for _, s := range g.routers {
			if s.members[0].m.in.Priority > best.members[0].m.in.Priority {
				best = s
			}
		}
		if g.together(t) != best {
			t.Fatalf("the best is not master:\n%s", g)
		}
	})
}

// pairBesideSingles returns two networks with our group and two peers in no group: r1 is the peers', with higher priority.
func pairBesideSingles() *groups {
	better := v3()
	better.Priority = 150
	g := &groups{lans: []*segment{newSegment(1, v3(), better), newSegment(2, v3(), better)}}
	ours := &sites{lans: g.lans, down: make([]bool, 2), members: []*member{g.lans[0].routers[0], g.lans[1].routers[0]}}
	ours.rules = NewGroup(ours.members[0].m, ours.members[1].m)
	g.routers = append(g.routers, ours)
	for _, r := range ours.members {
		r.group = ours
	}
	return g
}

// TestGroupIsNotSplitByItsPeers checks that a group whose peers are in no group stays backup in all networks, and that
// mastership does not flap.
func TestGroupIsNotSplitByItsPeers(t *testing.T) {
	g := pairBesideSingles()
	ours := g.routers[0].members
	for _, l := range g.lans {
		l.start(l.routers[1])
	}
	g.settle()
	for i, l := range g.lans {
		l.start(ours[i])
	}
	g.settle()
	g.lans[0].kill(g.lans[0].routers[1])
	g.settle()
	g.settle()
	for _, r := range ours {
		if r.m.State() != Backup || r.masterships != 0 {
			t.Errorf("%s with %d masterships:\n%s", r.m.State(), r.masterships, g)
		}
	}
	g.lans[1].kill(g.lans[1].routers[1])
	g.settle()
	if g.split != "" {
		t.Errorf("%s:\n%s", g.split, g)
	}
	for i, l := range g.lans {
		if m := l.in(Master); len(m) != 1 || m[0] != ours[i] {
			t.Errorf("network %d has no master:\n%s", i, g)
		}
	}
}

// TestGroupGivesUp checks that a group serves neither network if a better router takes over one of them and no router takes
// over the other.
func TestGroupGivesUp(t *testing.T) {
	g := pairBesideSingles()
	ours := g.routers[0].members
	for i, l := range g.lans {
		l.start(ours[i])
	}
	g.settle()
	g.lans[0].start(g.lans[0].routers[1])
	g.settle()
	g.settle()
	for _, r := range ours {
		if r.m.State() != Backup || r.masterships != 1 || r.owns {
			t.Errorf("%s with %d masterships:\n%s", r.m.State(), r.masterships, g)
		}
	}
}

func TestConverge(t *testing.T) {
	for _, alive := range []bool{false, true} {
		g := pairBesideSingles()
		ours := g.routers[0].members
		for _, r := range ours {
			r.group = nil
		}
		for i, l := range g.lans {
			l.start(ours[i])
		}
		g.settle()
		g.lans[0].start(g.lans[0].routers[1])
		g.settle()
		if !alive {
			g.kill(&sites{members: []*member{g.lans[0].routers[1], g.lans[1].routers[1]}})
			g.run(250 * time.Millisecond)
		}
		for _, c := range NewGroup(ours[0].m, ours[1].m).Converge(epoch.Add(g.lans[0].now)) {
			c.Member.Step(c.Event, epoch.Add(g.lans[0].now))
		}
		want := []State{Master, Master}
		if alive {
			want = []State{Backup, Leaving}
		}
		if got := []State{ours[0].m.State(), ours[1].m.State()}; !slices.Equal(got, want) {
			t.Errorf("another master alive: %v: %v, want %v", alive, got, want)
		}
	}
}

// TestGroupAdoptsMastership checks that a new process continues as master with the member whose addresses it has found, and
// that the other member follows.
func TestGroupAdoptsMastership(t *testing.T) {
	g := pairBesideSingles()
	ours := g.routers[0].members
	g.lans[0].tell(ours[0], Up{Source: ours[0].source, HaveAddresses: true, Adopt: true})
	g.lans[1].start(ours[1])
	for _, r := range ours {
		if r.m.State() != Master {
			t.Errorf("%s:\n%s", r.m.State(), g)
		}
	}
}

func TestShared(t *testing.T) {
	got := Shared("pair", "web6", ReasonInterfaceDown, []Track{faulted, lost, learning, offset(-5).Tracks[0]})
	var effects []Effect
	for _, t := range got {
		effects = append(effects, t.Effect)
	}
	if want := []Effect{EffectFault, EffectLastResort, EffectHold}; !slices.Equal(effects, want) || got[0].Reason != "web6: interface-down" {
		t.Errorf("%+v", got)
	}
}
