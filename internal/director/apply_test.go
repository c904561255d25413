package director

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
)

// named returns a configuration whose node says which one it is.
func named(node string) *config.Config {
	cfg := twoServers()
	cfg.Node = node
	return cfg
}

// apply applies the configuration of a node.
func (b *bench) apply(node string, within time.Duration) {
	b.t.Helper()
	b.cfg = named(node)
	applied, err := b.director.Apply(b.t.Context(), api.ApplyRequest{Confirm: api.Duration(within)})
	if err != nil {
		b.t.Fatal(err)
	}
	if left := time.Until(applied.ConfirmUntil); left <= 0 || left > within {
		b.t.Errorf("applied for %s", left)
	}
	b.wantInForce(node, true, false)
}

func (b *bench) confirm(undo bool) error {
	_, err := b.director.Confirm(context.Background(), api.ConfirmRequest{Undo: undo})
	return err
}

func (b *bench) wantInForce(node string, waits, reverted bool) {
	b.t.Helper()
	synctest.Wait()
	s := b.status()
	if s.Node != node || s.Config.ConfirmUntil.IsZero() == waits || (s.Config.Reverted != "") != reverted {
		b.t.Errorf("the configuration of %s is in force, want %s: %+v", s.Node, node, s.Config)
	}
	list, _ := b.director.events.After("")
	for _, e := range slices.Backward(list) {
		if e.Kind == events.Config && e.To == "in force" {
			if (e.Reason != "") != reverted {
				b.t.Errorf("the event of what is in force says %q", e.Reason)
			}
			return
		}
	}
	b.t.Error("no event of what is in force")
}

func TestApply(t *testing.T) {
	const within, over = time.Minute, time.Minute + time.Second
	for name, tt := range map[string]struct {
		then     func(b *bench)
		want     string
		waits    bool
		reverted bool
	}{
		"confirmed": {func(b *bench) {
			if err := b.confirm(false); err != nil {
				b.t.Error(err)
			}
			time.Sleep(2 * within)
		}, "new", false, false},
		"in time":       {func(*bench) { time.Sleep(within - time.Second) }, "new", true, false},
		"not confirmed": {func(*bench) { time.Sleep(within) }, "old", false, true},
		"undone": {func(b *bench) {
			if err := b.confirm(true); err != nil {
				b.t.Error(err)
			}
		}, "old", false, true},
		"director lost": {func(b *bench) { b.stop(); b.start(true) }, "new", true, false},
		"director lost, not confirmed": {func(b *bench) {
			time.Sleep(within / 2)
			b.stop()
			b.start(true)
			time.Sleep(within / 2)
		}, "old", false, true},
		"no director when the time ends": {func(b *bench) { b.stop(); time.Sleep(within); b.start(false) }, "old", false, true},
		"director lost after the end":    {func(b *bench) { time.Sleep(over); b.stop(); b.start(true) }, "old", false, true},
		"started after the end":          {func(b *bench) { time.Sleep(over); b.stop(); b.start(false) }, "new", false, false},
		"lost after a start after the end": {func(b *bench) {
			time.Sleep(over)
			for _, restarted := range []bool{false, true} {
				b.stop()
				b.start(restarted)
			}
		}, "new", false, false},
		"file bad when the director is lost": {func(b *bench) {
			b.stop()
			b.cfgErr = errors.New("bad")
			b.start(true)
			time.Sleep(within)
		}, "old", false, true},
		"applied again": {func(b *bench) {
			time.Sleep(within / 2)
			b.apply("newer", within)
			time.Sleep(within - time.Second)
			b.wantInForce("newer", true, false)
			time.Sleep(time.Second)
		}, "old", false, true},
		"reloaded": {func(b *bench) {
			time.Sleep(within / 2)
			b.cfg = named("newer")
			b.reload()
			b.wantInForce("newer", true, false)
			time.Sleep(within / 2)
		}, "old", false, true},
		"reloaded after the end": {func(b *bench) { time.Sleep(over); b.reload() }, "new", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.cfg = named("old")
				b.start(false)
				defer func() { b.stop() }()
				b.apply("new", within)
				tt.then(b)
				b.wantInForce(tt.want, tt.waits, tt.reverted)
			})
		})
	}
}

func TestRefusedApplyChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = named("old")
		b.start(false)
		defer b.stop()
		refused := func(within time.Duration, status int) {
			t.Helper()
			_, err := b.director.Apply(t.Context(), api.ApplyRequest{Confirm: api.Duration(within)})
			if e, ok := errors.AsType[*api.Error](err); !ok || e.Status != status {
				t.Errorf("%v, want status %d", err, status)
			}
			b.wantInForce("old", false, false)
		}
		b.cfg = named("new")
		refused(0, http.StatusBadRequest)
		refused(25*time.Hour, http.StatusBadRequest)
		b.director.unconfirmedFile.write = func(string, []byte) error { return os.ErrPermission }
		refused(time.Minute, http.StatusServiceUnavailable)
		b.cfgErr = errors.New("bad")
		refused(time.Minute, http.StatusUnprocessableEntity)
		if e, ok := errors.AsType[*api.Error](b.confirm(false)); !ok || e.Status != http.StatusConflict {
			t.Errorf("a confirmation of nothing: %v", e)
		}
	})
}
