package director

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

func withSync() *config.Config {
	cfg := twoServers()
	cfg.VRRP = []config.VRRP{{
		Instance:       vrrp.Instance{Name: "web", Preempt: true},
		ConnectionSync: &config.ConnectionSync{Daemon: connsync.Daemon{Interface: "eth1", SyncID: 51}, LearnTime: 3 * time.Second},
	}}
	return cfg
}

func TestConnectionSyncFollowsTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		b.kernel.sync = []connsync.Running{{Role: connsync.Master, Daemon: connsync.Daemon{Interface: "eth9", SyncID: 9}}} // left by a crash
		b.start(false)
		for _, step := range []struct {
			state vrrp.State
			role  connsync.Role
		}{{vrrp.Backup, connsync.Backup}, {vrrp.Master, connsync.Master}, {vrrp.Leaving, connsync.Master}, {vrrp.Backup, connsync.Backup}} {
			b.vrrpState(step.state)
			want := []connsync.Running{{Role: step.role, Daemon: connsync.Daemon{Interface: "eth1", SyncID: 51}}}
			if !slices.Equal(b.kernel.running(), want) {
				t.Errorf("in state %s these run: %v", step.state, b.kernel.running())
			}
		}
		b.stop()
		if len(b.kernel.running()) != 0 {
			t.Errorf("these outlive the daemon: %v", b.kernel.running())
		}
	})
}

// held returns why the speaker does not preempt.
func held(b *bench) string {
	for _, t := range b.speaker.wanted().Instances[0].Tracks {
		if t.Effect == vrrp.EffectHold {
			return t.Reason
		}
	}
	return ""
}

func TestReturningDirectorDoesNotPreemptBeforeConnectionsAreSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		b.start(false)
		defer b.stop()
		b.vrrpState(vrrp.Backup)
		if got := held(b); got != holdReason {
			t.Errorf("the gate is open at once: %q", got)
		}
		time.Sleep(3*time.Second + time.Millisecond)
		synctest.Wait()
		if got := held(b); got != "" {
			t.Errorf("the gate does not open: %q", got)
		}
		b.vrrpState(vrrp.Master)
		b.vrrpState(vrrp.Backup)
		if got := held(b); got != holdReason {
			t.Errorf("the gate is open after mastership was lost: %q", got)
		}
	})
}

// stuckKernel does not respond to requests for the table until their context ends.
type stuckKernel struct{ *fakeKernel }

func (k stuckKernel) Table(ctx context.Context) ([]ipvs.ServiceState, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestStopDuringPassStillCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = withSync()
		b.start(false)
		b.vrrpState(vrrp.Master)
		if len(b.kernel.running()) != 1 {
			t.Fatalf("these run: %v", b.kernel.running())
		}
		if err := b.director.do(t.Context(), func() error { b.director.kernel = stuckKernel{b.kernel}; return nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(b.cfg.Director.Repair + time.Millisecond) // the next pass blocks
		b.stop()
		if len(b.kernel.running()) != 0 {
			t.Errorf("these outlive the daemon: %v", b.kernel.running())
		}
		if len(b.director.problems.open) != 0 {
			t.Errorf("the stop is called a problem: %v", b.director.problems.open)
		}
	})
}
