package director

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// tracksOf returns the tracks of an instance that were sent to the speaker.
func (b *bench) tracksOf(name string) []vrrp.Track {
	synctest.Wait()
	for _, in := range b.speaker.wanted().Instances {
		if in.Name == name {
			return in.Tracks
		}
	}
	return nil
}

// pairBench returns a director whose instance "gateway" is master.
func pairBench(t *testing.T) *bench {
	b := newBench(t)
	b.cfg = onlyVRRP()
	b.start(false)
	b.speaker.connected(true)
	b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Master}})
	synctest.Wait()
	return b
}

func TestFailoverWaitsForTheSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pairBench(t)
		defer b.stop()
		time.AfterFunc(70*time.Millisecond, func() {
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Leaving}})
		})
		time.AfterFunc(90*time.Millisecond, func() {
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Backup, MasterAddress: "192.0.2.2"}})
		})
		f, err := b.director.Failover(t.Context(), api.FailoverRequest{})
		if err != nil {
			t.Fatal(err)
		}
		took := time.Duration(f.Instances[0].Took)
		if f.Instances[0].Outcome != api.FailoverDone || f.Instances[0].MasterAddress != "192.0.2.2" || took < 90*time.Millisecond || took > 100*time.Millisecond {
			t.Errorf("%+v", f)
		}
		if tracks := b.tracksOf("gateway"); len(tracks) != 1 || tracks[0].Effect != vrrp.EffectLastResort {
			t.Errorf("tracks %+v", tracks)
		}
		b.reload()
		if tracks := b.tracksOf("gateway"); len(tracks) != 1 {
			t.Errorf("tracks after a reload %+v", tracks)
		}
		if _, err := b.director.Failover(t.Context(), api.FailoverRequest{Undo: true}); err != nil {
			t.Fatal(err)
		}
		if tracks := b.tracksOf("gateway"); len(tracks) != 0 {
			t.Errorf("tracks after --undo %+v", tracks)
		}
	})
}

func TestFailoverWithoutSuccessorIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pairBench(t)
		defer b.stop()
		time.AfterFunc(200*time.Millisecond, func() {
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Master, Reason: string(vrrp.ReasonNobodyTookOver), Since: time.Now()}})
		})
		f, err := b.director.Failover(t.Context(), api.FailoverRequest{Instances: []string{"gateway"}, For: api.Duration(time.Hour)})
		if err != nil || f.Instances[0].Outcome != api.FailoverNobody {
			t.Errorf("%+v, %v", f, err)
		}
		if tracks := b.tracksOf("gateway"); len(tracks) != 0 {
			t.Errorf("tracks %+v", tracks)
		}
	})
}

// TestFailoverWithoutSuccessorIsCancelledWithoutItsClient covers a client that has gone, and a director that was restarted, before
// it was known that no router took over.
func TestFailoverWithoutSuccessorIsCancelledWithoutItsClient(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := pairBench(t)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			f, err := b.director.Failover(ctx, api.FailoverRequest{})
			if err != nil || f.Instances[0].Outcome != api.FailoverWaiting || f.Instances[0].State != vrrp.Master {
				t.Errorf("%+v, %v", f, err)
			}
			if restarted {
				b.stop()
				b.start(true)
				b.speaker.connected(true)
			}
			if len(b.tracksOf("gateway")) != 1 {
				t.Fatalf("restarted %v: the failover is not in force", restarted)
			}
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Master, Reason: string(vrrp.ReasonNobodyTookOver), Since: time.Now()}})
			if tracks := b.tracksOf("gateway"); len(tracks) != 0 {
				t.Errorf("restarted %v: tracks %+v", restarted, tracks)
			}
			b.stop()
			b.start(true)
			if tracks := b.tracksOf("gateway"); len(tracks) != 0 {
				t.Errorf("restarted %v: tracks after a restart %+v", restarted, tracks)
			}
			b.stop()
		})
	}
}

// TestFailoverOutlivesItsSuccessor checks that a node that has handed over stays away when it is needed again for a while.
func TestFailoverOutlivesItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pairBench(t)
		defer b.stop()
		time.AfterFunc(50*time.Millisecond, func() {
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Backup, MasterAddress: "192.0.2.2"}})
		})
		if _, err := b.director.Failover(t.Context(), api.FailoverRequest{}); err != nil {
			t.Fatal(err)
		}
		b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Master, Reason: string(vrrp.ReasonNobodyTookOver), Since: time.Now().Add(time.Second)}})
		if tracks := b.tracksOf("gateway"); len(tracks) != 1 {
			t.Errorf("tracks %+v", tracks)
		}
	})
}

func TestFailoverEndsWithItsTimeAndItsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = onlyVRRP()
		b.cfg.VRRP = append(b.cfg.VRRP, config.VRRP{Instance: vrrp.Instance{Name: "other"}})
		b.start(false)
		b.speaker.connected(true)
		b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Backup}, {Name: "other", State: vrrp.Backup}})
		synctest.Wait()
		for name, away := range map[string]time.Duration{"gateway": time.Minute, "other": 0} {
			if _, err := b.director.Failover(t.Context(), api.FailoverRequest{Instances: []string{name}, For: api.Duration(away)}); err != nil {
				t.Fatal(err)
			}
		}
		b.stop()
		time.Sleep(30 * time.Second)
		b.start(false)
		if len(b.tracksOf("gateway")) != 1 || len(b.tracksOf("other")) != 1 {
			t.Error("a restart ended a failover")
		}
		time.Sleep(31 * time.Second)
		if len(b.tracksOf("gateway")) != 0 || len(b.tracksOf("other")) != 1 {
			t.Error("a minute did not end the failover for a minute only")
		}
		both := b.cfg
		b.cfg = onlyVRRP()
		b.reload()
		b.cfg = both
		b.reload()
		if len(b.tracksOf("other")) != 0 {
			t.Error("an instance that was removed has its failover back")
		}
		b.stop()
	})
}

func TestFailoverRequestsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pairBench(t)
		defer b.stop()
		wantStatus := func(want int, request api.FailoverRequest) {
			t.Helper()
			_, err := b.director.Failover(t.Context(), request)
			if refused, ok := err.(*api.Error); !ok || refused.Status != want {
				t.Errorf("%+v: %v, want status %d", request, err, want)
			}
		}
		wantStatus(http.StatusNotFound, api.FailoverRequest{Instances: []string{"gateway", "other"}})
		wantStatus(http.StatusBadRequest, api.FailoverRequest{Instances: []string{"[a"}})
		wantStatus(http.StatusBadRequest, api.FailoverRequest{For: -1})
		wantStatus(http.StatusBadRequest, api.FailoverRequest{For: 1, Undo: true})
		b.speaker.connected(false)
		synctest.Wait()
		wantStatus(http.StatusServiceUnavailable, api.FailoverRequest{})
		if tracks := b.tracksOf("gateway"); len(tracks) != 0 {
			t.Errorf("a refused request left tracks: %+v", tracks)
		}
	})
}

// TestFailoverThatEndsWhileItIsAwaited checks that the request completes immediately, not when its time is over.
func TestFailoverThatEndsWhileItIsAwaited(t *testing.T) {
	for what, end := range map[string]func(b *bench){
		"undone": func(b *bench) {
			if _, err := b.director.Failover(b.t.Context(), api.FailoverRequest{Undo: true}); err != nil {
				b.t.Error(err)
			}
		},
		"removed": func(b *bench) {
			cfg := *b.cfg // the director reads its own
			cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "other"}}}
			b.cfg = &cfg
			b.reload()
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := pairBench(t)
				defer b.stop()
				time.AfterFunc(100*time.Millisecond, func() { end(b) })
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				f, err := b.director.Failover(ctx, api.FailoverRequest{})
				if err != nil || f.Instances[0].Outcome != api.FailoverEnded || time.Since(began) > 200*time.Millisecond {
					t.Errorf("%+v, %v after %v", f, err, time.Since(began))
				}
			})
		})
	}
}

// TestFailoverWithoutSuccessorWhenTheClockIsSetBack has a status with a time before the request.
func TestFailoverWithoutSuccessorWhenTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pairBench(t)
		defer b.stop()
		time.AfterFunc(100*time.Millisecond, func() {
			b.speaker.report([]vrrp.Status{{Name: "gateway", State: vrrp.Leaving}})
		})
		time.AfterFunc(200*time.Millisecond, func() {
			b.speaker.report([]vrrp.Status{{
				Name: "gateway", State: vrrp.Master, Reason: string(vrrp.ReasonNobodyTookOver), Since: time.Now().Add(-time.Hour),
			}})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		f, err := b.director.Failover(ctx, api.FailoverRequest{})
		if err != nil || f.Instances[0].Outcome != api.FailoverNobody {
			t.Errorf("%+v, %v", f, err)
		}
		if tracks := b.tracksOf("gateway"); len(tracks) != 0 {
			t.Errorf("tracks %+v", tracks)
		}
	})
}
