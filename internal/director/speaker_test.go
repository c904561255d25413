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
	count       func(map[string]vrrp.Counters)
	transitions func([]vrrp.Transition)
	connected   func(bool)

	mu    sync.Mutex
	last  vrrp.Wanted
	alive int
	all   []bool // of the requests for a report
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

func (s *fakeSpeaker) Run(ctx context.Context) { <-ctx.Done() }

func (s *fakeSpeaker) Report(_ context.Context, all bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, all)
	return nil
}

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

// TestCountersOfAReport checks that counters change nothing else of an instance's status, that later statuses are not changed by earlier
// counters, and that all statuses are requested as long as one is missing.
func TestCountersOfAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		b.start(true)
		defer b.stop()
		name := b.cfg.VRRP[0].Name
		sent := func(n uint64) map[string]vrrp.Counters {
			return map[string]vrrp.Counters{name: {AdvertsSent: n}, "other": {AdvertsSent: n}}
		}
		expect := func(state vrrp.State, n uint64) {
			t.Helper()
			if v := b.status().VRRP[0]; v.State != state || v.AdvertsSent != n {
				t.Errorf("%s, %d sent; want %s, %d", v.State, v.AdvertsSent, state, n)
			}
		}
		b.speaker.count(sent(1))
		synctest.Wait()
		expect(vrrp.Initialize, 0)
		b.speaker.report([]vrrp.Status{{Name: name, State: vrrp.Backup}})
		b.speaker.count(sent(2))
		synctest.Wait()
		expect(vrrp.Backup, 2)
		b.speaker.count(sent(3))
		b.speaker.report([]vrrp.Status{{Name: name, State: vrrp.Master, Counters: vrrp.Counters{AdvertsSent: 4}}})
		synctest.Wait()
		expect(vrrp.Master, 4)
		b.speaker.count(sent(5))
		synctest.Wait()
		expect(vrrp.Master, 5)
		if want := []bool{true, false, false, false}; !slices.Equal(b.speaker.all, want) {
			t.Errorf("all statuses were requested: %v, want %v", b.speaker.all, want)
		}
	})
}
