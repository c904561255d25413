package director

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// touched is what the events since the last pass may have changed.
type touched struct {
	all   bool
	keys  map[ipvs.ServiceKey]struct{}
	sync  bool
	times bool
}

func (t *touched) everything() { t.all, t.sync, t.times = true, true, true }

func (t *touched) services(keys []ipvs.ServiceKey) {
	if t.keys == nil {
		t.keys = map[ipvs.ServiceKey]struct{}{}
	}
	for _, k := range keys {
		t.keys[k] = struct{}{}
	}
}

func (t *touched) nothing() bool { return !t.all && len(t.keys) == 0 && !t.sync && !t.times }

// needsKernel says whether there is anything to do in the kernel's IPVS.
func needsKernel(cfg *config.Config, m memory) bool {
	return len(cfg.Services) > 0 || followed(cfg) != nil || cfg.Timeouts != nil || len(m.Owned) > 0 || m.OwnsSync
}

// reconcile makes the kernel agree with what is wanted, for what was touched. What fails is tried again at the next repair.
func (d *Director) reconcile(ctx context.Context) {
	if d.touched.nothing() {
		return
	}
	due := d.touched
	d.touched = touched{}
	d.follow(time.Now())
	if !needsKernel(d.cfg, d.memory) {
		d.remember(nil, false)
		for _, what := range []string{"ipvs", "timeouts", "connection-sync"} {
			d.problems.set(what, nil)
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	if d.kernel == nil {
		kernel, err := d.OpenKernel(ctx)
		d.outcome(ctx, "ipvs", err)
		if err != nil {
			return
		}
		d.kernel = kernel
		due.everything()
	}
	if due.all || len(due.keys) > 0 {
		d.lost(d.reconcileTable(ctx, due))
	}
	if due.times && d.kernel != nil {
		d.outcome(ctx, "timeouts", d.reconcileTimeouts(ctx))
	}
	if due.sync && d.kernel != nil {
		d.outcome(ctx, "connection-sync", d.reconcileSync(ctx))
	}
}

// outcome notes how what stands, unless it only failed because the director stops.
func (d *Director) outcome(ctx context.Context, what string, err error) {
	if err == nil || !errors.Is(ctx.Err(), context.Canceled) {
		d.problems.set(what, err)
	}
}

// lost closes a kernel connection that no longer works, to open another one at the next repair.
func (d *Director) lost(err error) {
	if err == nil || ipvs.IsRefusal(err) {
		return
	}
	d.kernel.Close()
	d.kernel = nil
}

func (d *Director) reconcileTable(ctx context.Context, due touched) error {
	var actual []ipvs.ServiceState
	var err error
	if due.all || d.unkept {
		due.all = true
		actual, err = d.kernel.Table(ctx)
	} else {
		actual, err = d.kernel.Lookup(ctx, slices.Collect(maps.Keys(due.keys)))
	}
	if err != nil {
		d.outcome(ctx, "ipvs", err)
		return err
	}
	if d.unkept {
		d.kept, d.unkept = adopt(d.cfg, actual), false
	}
	d.remember(d.owned(), d.memory.OwnsSync)
	var want []ipvs.Entry
	for _, vs := range d.cfg.Services {
		if _, ok := due.keys[vs.ServiceKey]; ok || due.all {
			want = append(want, desiredEntry(vs, d.health, d.kept))
		}
	}
	err = ipvs.Apply(ctx, loggedApplier{d.kernel, d.Logger}, ipvs.Diff(want, actual, d.memory.owns()))
	if err != nil || due.all { // what is wrong with other services is not over
		d.outcome(ctx, "ipvs", err)
	}
	if err == nil && due.all {
		d.remember(d.configured(), d.memory.OwnsSync)
	}
	return err
}

// reconcileTimeouts sets the kernel's timeouts of connections where they differ from the configured ones.
func (d *Director) reconcileTimeouts(ctx context.Context) error {
	if d.cfg.Timeouts == nil {
		return nil
	}
	current, err := d.kernel.Timeouts(ctx)
	if err != nil {
		return err
	}
	changes := timeoutChanges(current, *d.cfg.Timeouts)
	if len(changes) == 0 {
		return nil
	}
	if err := d.kernel.SetTimeouts(ctx, *d.cfg.Timeouts); err != nil {
		return err
	}
	for _, c := range changes {
		d.Logger.Info("ipvs timeout", "of", c.Field, "from", c.From, "to", c.To)
	}
	return nil
}

// configured are the services that the configuration names.
func (d *Director) configured() []ipvs.ServiceKey {
	keys := make([]ipvs.ServiceKey, 0, len(d.cfg.Services))
	for _, vs := range d.cfg.Services {
		keys = append(keys, vs.ServiceKey)
	}
	return keys
}

// owned are the services that lvs-ha may change: those that the configuration names, and those it made before.
func (d *Director) owned() []ipvs.ServiceKey {
	keys := d.configured()
	named := make(map[ipvs.ServiceKey]bool, len(keys))
	for _, k := range keys {
		named[k] = true
	}
	for _, k := range d.memory.Owned {
		if !named[k] {
			keys = append(keys, k)
		}
	}
	return keys
}

// owns says of a service whether lvs-ha may change it.
func (m memory) owns() func(ipvs.ServiceKey) bool {
	owned := make(map[ipvs.ServiceKey]bool, len(m.Owned))
	for _, k := range m.Owned {
		owned[k] = true
	}
	return func(k ipvs.ServiceKey) bool { return owned[k] }
}

// remember saves what is owned, before the kernel is touched: after a crash nothing of ours is taken for foreign.
func (d *Director) remember(owned []ipvs.ServiceKey, ownsSync bool) {
	if !d.unsaved && d.memory.Config == d.cfg && slices.Equal(d.memory.Owned, owned) && d.memory.OwnsSync == ownsSync && saved(d.StateFile) {
		return
	}
	d.memory = memory{Owned: owned, OwnsSync: ownsSync, Config: d.cfg}
	err := d.memory.save(d.StateFile)
	d.unsaved = err != nil
	d.problems.set("state file", err)
}

// follow sets the role of the connection sync and with it the preemption gate.
func (d *Director) follow(now time.Time) {
	v := followed(d.cfg)
	if v == nil {
		return
	}
	role, known := syncRole(d.vrrp[v.Name])
	if known && role != d.gate.role {
		d.gate.follow(role, now)
		d.tellSpeaker()
	}
}

// reconcileSync makes the kernel's connection-sync daemons follow.
func (d *Director) reconcileSync(ctx context.Context) error {
	var want []connsync.Running
	if v := followed(d.cfg); v != nil {
		if _, known := syncRole(d.vrrp[v.Name]); !known {
			return nil
		}
		d.remember(d.memory.Owned, true)
		want = []connsync.Running{{Role: d.gate.role, Daemon: v.ConnectionSync.Daemon}}
	} else if !d.memory.OwnsSync {
		return nil
	}
	steps, err := connsync.Follow(ctx, d.kernel, want)
	for _, step := range steps {
		d.Logger.Info("connection sync", "step", step.String())
	}
	if err == nil && len(want) == 0 {
		d.remember(d.memory.Owned, false)
	}
	return err
}

// clear takes down at stop what must not outlive the daemon: the sync daemons, and the table if the configuration says so.
func (d *Director) clear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	if d.kernel != nil {
		defer d.kernel.Close()
	}
	if !d.memory.OwnsSync && d.cfg.Director.OnStop != "remove" {
		return
	}
	if d.kernel == nil { // lost, perhaps because the stop came in the middle of something
		kernel, err := d.OpenKernel(ctx)
		if err != nil {
			if !errors.Is(err, ipvs.ErrNoIPVS) {
				d.Logger.Error("not everything was taken down", "error", err)
			}
			return
		}
		defer kernel.Close()
		d.kernel = kernel
	}
	var errs []error
	if d.memory.OwnsSync {
		_, err := connsync.Follow(ctx, d.kernel, nil)
		errs = append(errs, err)
		d.remember(d.memory.Owned, err != nil)
	}
	if d.cfg.Director.OnStop == "remove" {
		actual, err := d.kernel.Table(ctx)
		if err == nil {
			err = ipvs.Apply(ctx, loggedApplier{d.kernel, d.Logger}, ipvs.Diff(nil, actual, d.memory.owns()))
		}
		if err == nil {
			d.remember(nil, d.memory.OwnsSync)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		d.Logger.Error("not everything was taken down", "error", err)
	}
}
