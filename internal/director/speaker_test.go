package director

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// fakeSpeaker records the wanted state, and sends reports on request.
type fakeSpeaker struct {
	report      func([]vrrp.Status)
	transitions func([]vrrp.Transition)
	connected   func(bool)

	mu    sync.Mutex
	last  vrrp.Wanted
	alive int
}

func (s *fakeSpeaker) wanted() vrrp.Wanted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *fakeSpeaker) Set(w vrrp.Wanted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = w
}

func (s *fakeSpeaker) Run(ctx context.Context)      { <-ctx.Done() }
func (s *fakeSpeaker) Report(context.Context) error { return nil }

func (s *fakeSpeaker) Alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive++
}

// heard returns the number of the director's alive reports.
func (s *fakeSpeaker) heard() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive
}

func hasProblem(s api.Status, what string) bool {
	return slices.ContainsFunc(s.Problems, func(p api.Problem) bool { return p.What == what })
}

func TestStatusContainsSpeakerReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		b.start(false)
		defer b.stop()
		b.speaker.connected(true)
		b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Master}})
		synctest.Wait()
		s := b.status()
		if len(s.VRRP) != 1 || s.VRRP[0].State != vrrp.Master || hasProblem(s, "speaker") {
			t.Errorf("with a speaker: instances %+v, problems %+v", s.VRRP, s.Problems)
		}
		b.speaker.connected(false)
		time.Sleep(10 * time.Second) // longer than a restart takes
		if s := b.status(); !hasProblem(s, "speaker") {
			t.Errorf("without a speaker: problems %+v", s.Problems)
		}
	})
}

// TestStopWaitsForTheSpeaker stops a director, which must wait a limited time until the speaker has handed over and exited, and
// not wait without a speaker or instances.
func TestStopWaitsForTheSpeaker(t *testing.T) {
	for name, tt := range map[string]struct {
		connected, instances bool
		gone                 time.Duration // time after the stop; 0 means never
		want                 time.Duration
		late                 bool
	}{
		"it hands over":    {connected: true, instances: true, gone: 1200 * time.Millisecond, want: 1200 * time.Millisecond},
		"it hangs":         {connected: true, instances: true, want: stopWait, late: true},
		"it is not there":  {instances: true},
		"it has no part":   {connected: true},
		"it goes too late": {connected: true, instances: true, gone: stopWait + time.Second, want: stopWait, late: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if tt.instances {
					b.cfg = onlyVRRP()
				}
				b.start(false)
				b.speaker.connected(tt.connected)
				synctest.Wait()
				if tt.gone > 0 {
					time.AfterFunc(tt.gone, func() { b.speaker.connected(false) })
				}
				before := time.Now()
				b.stop()
				if took := time.Since(before); took != tt.want {
					t.Errorf("it stopped after %v, want %v", took, tt.want)
				}
				log := b.log.read()
				if late := strings.Contains(log, "waited="); late != tt.late {
					t.Errorf("it warns: %t, want %t:\n%s", late, tt.late, log)
				}
			})
		})
	}
}
