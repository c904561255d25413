package speaker

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestDirectorGrace(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(200))
	g.advance(time.Second)
	g.did()
	g.engine.directorGone(g.now)
	g.advance(1900 * time.Millisecond)
	g.want(v3(200)) // back in time
	g.advance(time.Second)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)

	g.engine.directorGone(g.now)
	g.advance(2 * time.Second)
	g.expect("v", vrrp.Leaving, vrrp.ReasonDirectorLost)
	g.hear(v3(100), 100, "10.9.0.2")
	g.advance(handOverDelay)
	g.expect("v", vrrp.Backup, vrrp.ReasonSuccessorHeard)
	if got := g.status("v").EffectivePriority; got != 1 {
		t.Errorf("priority %d without a director", got)
	}
	g.want(v3(200))
	if got := g.status("v").EffectivePriority; got != 200 {
		t.Errorf("priority %d with the director back", got)
	}
}

func TestSilentDirector(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(200))
	grace := g.engine.wanted.DirectorGrace
	for range 10 {
		g.engine.directorHeard(g.now, g.now)
		g.advance(time.Second)
	}
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)

	// A message within the grace time ends it.
	g.engine.directorHeard(g.now, g.now)
	g.advance(directorSilence + grace - time.Millisecond)
	g.engine.directorHeard(g.now, g.now)
	g.advance(grace)
	g.expect("v", vrrp.Master, vrrp.ReasonMasterDownTimer)

	// Killing the silent director does not restart the grace time.
	g.engine.directorHeard(g.now, g.now)
	g.advance(directorSilence + grace/2)
	g.engine.directorGone(g.now)
	g.advance(grace / 2)
	g.expect("v", vrrp.Leaving, vrrp.ReasonDirectorLost)
	g.engine.directorGone(g.now)
	g.hear(v3(100), 100, "10.9.0.2")
	g.advance(handOverDelay)
	g.expect("v", vrrp.Backup, vrrp.ReasonSuccessorHeard)
	g.engine.directorHeard(g.now, g.now)
	g.want(v3(200))
	if got := g.status("v").EffectivePriority; got != 200 {
		t.Errorf("priority %d with the director back", got)
	}
}

// The whole host was stalled, including the director, so the director's silence during that time is ignored.
func TestStallIsNotSilence(t *testing.T) {
	g := newRig(t)
	g.up("eth0", 2, "10.9.0.1/24")
	g.want(v3(200))
	g.advance(time.Second)
	g.engine.directorHeard(g.now, g.now)
	g.now = g.now.Add(time.Minute)
	g.advance(directorSilence - time.Millisecond)
	if g.engine.silent {
		t.Error("the director counts as silent")
	}
	g.advance(time.Millisecond)
	if !g.engine.silent {
		t.Error("the director does not count as silent")
	}
}
