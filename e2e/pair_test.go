// Package e2e tests complete scenarios with real kernels, peers and clients.
package e2e

import (
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func TestPairPowerFailure(t *testing.T) {
	lab.Need(t, lab.Pair)
	for _, layout := range []scene.Layout{scene.NAT, scene.DR} {
		t.Run(string(layout), func(t *testing.T) {
			s := beginFast(t, layout)
			held := s.download()
			p := s.probe()
			w := s.watchTakeover()
			failure := time.Now()
			if err := s.active().Kill(); err != nil {
				t.Fatal(err)
			}
			s.await(s.standby(), "master", scene.IsMaster)
			w.after(failure, standbyAddress[layout])
			s.observed(aftermath)
			seen := p.Stop()
			s.finished(held)
			outage(t, seen, w.stalls)
		})
	}
}

func TestPairProcessesKilled(t *testing.T) {
	lab.Need(t, lab.Pair)
	for _, layout := range []scene.Layout{scene.NAT, scene.DR} {
		t.Run(string(layout), func(t *testing.T) {
			s := beginFast(t, layout)
			held := s.download()
			w := s.watchTakeover()
			failure := s.killAll(s.active())
			s.await(s.standby(), "master", scene.IsMaster)
			w.after(failure, standbyAddress[layout])
			s.finished(held)
			if err := s.active().Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.await(s.active(), "master again", scene.IsMaster)
			s.await(s.standby(), "backup again", scene.IsBackup)
		})
	}
}

// outage returns the client's longest outage, and fails if it exceeded a takeover plus the machine's stalls during that
// outage.
func outage(t *testing.T, r lab.ProbeReport, s *stalls) {
	t.Helper()
	t.Logf("of %d probes %d were lost; the longest outage was %v", r.Sent, r.Lost, r.Longest.Round(time.Millisecond))
	for _, o := range r.Outages {
		if allowed := takeoverGoal + s.within(o.From, o.To); o.Length() > allowed {
			t.Errorf("the client had no service for %v, want at most %v (last error: %v)", o.Length(), allowed, r.LastError)
		}
	}
}

// handedOver reports the client's losses during hand-overs, and fails if there were more than unavoidable.
func handedOver(t *testing.T, r lab.ProbeReport) {
	t.Helper()
	t.Logf("of %d probes %d were lost; the longest outage was %v", r.Sent, r.Lost, r.Longest.Round(time.Millisecond))
	if r.Lost > handOverLoss {
		t.Errorf("%d probes were lost in %v, want at most %d (last error: %v)", r.Lost, r.Outages, handOverLoss, r.LastError)
	}
}

func TestPairTimedWorkerIsKilled(t *testing.T) {
	lab.Need(t, lab.Pair)
	s := beginFast(t, scene.NAT)
	before := transitions(s.status(s.standby()))

	t.Run("director: no failover, the table untouched, checks go on", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		table := tableOf(s, s.active())
		s.signal(s.active(), "KILL", "director")
		checksBefore := healthRequests(s)
		s.await(s.active(), "served by a new director", func(st api.Status) bool { return len(scene.Pool(st)) == len(s.Servers) })
		if after := tableOf(s, s.active()); after != table {
			t.Errorf("the table changed:\n%s\nto:\n%s", table, after)
		}
		eventually(t, time.Second, "checks of each server by the new director", func() bool {
			for name, n := range healthRequests(s) {
				if n < checksBefore[name]+2 { // one of them may be the standby's
					return false
				}
			}
			return true
		})
		s.observed(afterDirectors)
		s.finished(held)
		if n := transitions(s.status(s.standby())); n != before {
			t.Errorf("the standby became master %d times", n-before)
		}
	})

	t.Run("speaker: no failover at 100 ms adverts", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		s.signal(s.active(), "KILL", "speaker")
		s.await(s.active(), "master after the speaker is back", func(st api.Status) bool {
			return scene.IsMaster(st) && st.VRRP[0].Reason == "adopted"
		})
		s.observed(aftermath)
		seen := p.Stop()
		s.finished(held)
		handedOver(t, seen)
		if n := transitions(s.status(s.standby())); n != before {
			t.Errorf("the standby became master %d times", n-before)
		}
	})

	t.Run("director kept from coming back: a clean hand-over after the grace time", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		s.signal(s.active(), "STOP", "run")
		s.signal(s.active(), "KILL", "director")
		killed := time.Now()
		s.await(s.standby(), "master", scene.IsMaster)
		t.Logf("handed over %v after the director's end", time.Since(killed).Round(time.Millisecond))
		s.observed(aftermath)
		seen := p.Stop()
		s.finished(held)
		handedOver(t, seen)
		s.signal(s.active(), "CONT", "run")
		s.await(s.active(), "master again", scene.IsMaster)
	})

	t.Run("a speaker that hangs: the standby takes over, and a new speaker takes back", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		stalled := watchStalls(t)
		s.signal(s.active(), "STOP", "speaker")
		s.await(s.standby(), "master", scene.IsMaster)
		s.await(s.standby(), "backup again", scene.IsBackup)
		s.await(s.active(), "master with a new speaker", scene.IsMaster)
		s.observed(aftermath)
		seen := p.Stop()
		s.finished(held)
		outage(t, seen, stalled)
	})

	t.Run("parent: a clean hand-over", func(t *testing.T) {
		s := &story{s.Scene, t}
		held := s.download()
		p := s.probe()
		s.signal(s.active(), "KILL", "run")
		s.await(s.standby(), "master", scene.IsMaster)
		s.observed(aftermath)
		seen := p.Stop()
		s.finished(held)
		handedOver(t, seen)
	})
}

// eventually polls a condition that has no event.
func eventually(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Errorf("not within %v: %s", within, what)
			return
		}
	}
}

// healthRequests returns the number of health checks that each server has received.
func healthRequests(s *story) map[string]int {
	n := map[string]int{}
	for _, w := range s.Servers {
		n[w.Name()] = w.Requests()["/healthz"]
	}
	return n
}

// tableOf returns the kernel's table as saved by ipvsadm.
func tableOf(s *story, d *scene.Director) string {
	s.t.Helper()
	out, err := lab.Output(s.t.Context(), d.Director, "ipvsadm", "-S", "-n")
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestPairTimedOrderlyStop(t *testing.T) {
	lab.Need(t, lab.Pair)
	s := beginFast(t, scene.NAT)
	held := s.download()
	p := s.probe()
	asked := time.Now()
	if err := s.active().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(asked); took > time.Second {
		t.Errorf("SIGTERM to the end took %v, want at most a second", took)
	}
	s.await(s.standby(), "master", scene.IsMaster)
	if err := s.active().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(s.active(), "master again", scene.IsMaster)
	s.observed(aftermath)
	seen := p.Stop()
	s.finished(held)
	handedOver(t, seen)
	if v := s.status(s.standby()).VRRP[0]; v.State != vrrp.Backup {
		t.Errorf("the standby is %s (%s)", v.State, v.Reason)
	}
}
