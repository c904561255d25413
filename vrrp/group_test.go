//go:build !race

package vrrp

import (
	"slices"
	"testing"
	"time"
)

// besideSingles returns two networks with our group and a peer with higher priority, whose routers are in no group.
func besideSingles() (l *lan, ours, peers []*router) {
	better := v3()
	better.Priority = 150
	l = newLANs(1, 2, 0, v3(), better)
	l.traced = true
	l.hosts[1].apart = true
	return l, l.hosts[0].members, l.hosts[1].members
}

// TestGroupIsNotSplitByItsPeers checks that a group whose peers are in no group stays backup in all networks, and that
// mastership does not flap.
func TestGroupIsNotSplitByItsPeers(t *testing.T) {
	l, ours, peers := besideSingles()
	l.boot(peers[0])
	l.run(2 * time.Second)
	l.boot(ours[0])
	l.run(2 * time.Second)
	l.plug(peers[0], false)
	l.run(5 * time.Second)
	for _, r := range ours {
		if r.state() != Backup || r.masterships != 0 {
			t.Errorf("%s with %d masterships:\n%s", r.state(), r.masterships, l)
		}
	}
	l.plug(peers[1], false)
	l.run(2 * time.Second)
	for _, r := range ours {
		if r.state() != Master || r.becameMaster != ours[0].becameMaster {
			t.Errorf("%s since %s:\n%s", r.state(), r.becameMaster, l)
		}
	}
}

// TestGroupGivesUp checks that a group serves neither network if a better router takes over one of them and no router takes
// over the other.
func TestGroupGivesUp(t *testing.T) {
	l, ours, peers := besideSingles()
	l.boot(ours[0])
	l.run(2 * time.Second)
	l.plug(peers[1], false)
	l.boot(peers[0])
	l.run(5 * time.Second)
	for _, r := range ours {
		if r.state() != Backup || r.masterships != 1 || r.owned != 0 {
			t.Errorf("%s with %d masterships:\n%s", r.state(), r.masterships, l)
		}
	}
}

// TestConverge forms a group of routers of which one is master, and the other follows a master that is active or has failed.
func TestConverge(t *testing.T) {
	for _, alive := range []bool{false, true} {
		l, ours, peers := besideSingles()
		l.hosts[0].apart = true
		l.boot(ours[0])
		l.run(2 * time.Second)
		l.plug(peers[1], false)
		l.boot(peers[0])
		l.run(2 * time.Second)
		if !alive {
			l.kill(peers[0])
			l.run(250 * time.Millisecond)
		}
		now := ours[0].clock(l.now)
		for _, c := range NewGroup(ours[0].m, ours[1].m).Converge(now) {
			c.Member.Step(c.Event, now)
		}
		want := []State{Master, Master}
		if alive {
			want = []State{Backup, Leaving}
		}
		if got := []State{ours[0].state(), ours[1].state()}; !slices.Equal(got, want) {
			t.Errorf("another master alive: %v: %v, want %v", alive, got, want)
		}
	}
}

// TestGroupAdoptsMastership checks that a new process continues as master with the router whose addresses it has found, and that
// the others follow.
func TestGroupAdoptsMastership(t *testing.T) {
	l, ours, _ := besideSingles()
	l.boot(ours[0])
	l.run(2 * time.Second)
	l.killProcess(ours[0])
	ours[1].owned = 0
	l.boot(ours[0])
	l.run(10 * time.Millisecond)
	for _, r := range ours {
		if r.state() != Master || r.owned == 0 {
			t.Errorf("%s:\n%s", r.state(), l)
		}
	}
}

// TestGroupWaitsForAllMembers checks that a router does not take over while another one of its group waits after its start.
func TestGroupWaitsForAllMembers(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		l, ours, peers := besideSingles()
		l.boot(peers[0])
		l.run(2 * time.Second)
		ours[1].in.StartupDelay = 10 * time.Second
		l.boot(ours[0])
		l.run(2 * time.Second)
		if leaves {
			l.stop(peers[0])
		} else {
			l.kill(peers[0])
		}
		l.run(7 * time.Second)
		if got := ours[0].state(); got != Backup {
			t.Errorf("the master left: %v: %s after 9 s of 10:\n%s", leaves, got, l)
		}
		l.run(2 * time.Second)
		if got := ours[0].state(); got != Master {
			t.Errorf("the master left: %v: %s after 11 s of 10:\n%s", leaves, got, l)
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
	pending := faulted
	pending.Pending = true
	for _, tt := range []struct {
		tracks []Track
		want   bool
	}{{[]Track{pending}, true}, {[]Track{pending, faulted}, false}, {[]Track{faulted, pending}, false}} {
		got := Shared("pair", "web6", "", tt.tracks)
		if len(got) != 1 || got[0].Pending != tt.want {
			t.Errorf("of %+v: %+v", tt.tracks, got)
		}
		if want := map[bool]Reason{true: ReasonTrackPending, false: ReasonGroupFault}[tt.want]; combine(got).fault != want {
			t.Errorf("of %+v: %s, want %s", tt.tracks, combine(got).fault, want)
		}
	}
}
