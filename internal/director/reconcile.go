package director

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// touched lists what must be reconciled because of events since the last pass.
type touched struct {
	all     bool
	keys    map[ipvs.ServiceKey]struct{}
	sync    bool
	times   bool
	sysctls bool
}

func (t *touched) everything() { t.all, t.sync, t.times, t.sysctls = true, true, true, true }

func (t *touched) services(keys []ipvs.ServiceKey) {
	if t.keys == nil {
		t.keys = map[ipvs.ServiceKey]struct{}{}
	}
	for _, k := range keys {
		t.keys[k] = struct{}{}
	}
}

func (t *touched) add(other touched) {
	t.all, t.sync = t.all || other.all, t.sync || other.sync
	t.times, t.sysctls = t.times || other.times, t.sysctls || other.sysctls
	if len(other.keys) > 0 {
		t.services(slices.Collect(maps.Keys(other.keys)))
	}
}

func (t *touched) table() bool { return t.all || len(t.keys) > 0 }

func (t *touched) empty() bool { return !t.table() && !t.sync && !t.times && !t.sysctls }

// needsKernel reports whether any part needs the kernel's IPVS.
func needsKernel(cfg *config.Config, m memory) bool {
	return len(cfg.Services) > 0 || followed(cfg) != nil || cfg.Timeouts != nil || len(m.Owned) > 0 || m.OwnsSync
}

// reconcile brings the kernel to the wanted state, for everything touched and for due retries.
func (d *Director) reconcile(ctx context.Context) {
	defer func() { d.reviewFitness(time.Now()) }()
	d.touched.add(d.retries.take(time.Now()))
	if d.touched.empty() {
		return
	}
	due := d.touched
	d.touched = touched{}
	d.follow(time.Now())
	if due.sysctls {
		d.manageSysctls()
	}
	if !needsKernel(d.cfg, d.memory) {
		d.remember(nil, false)
		for _, part := range []string{partTable, partTimeouts, partSync} {
			d.recordResult(part, touched{all: true}, nil)
		}
		return
	}
	d.remember(d.memory.Owned, d.memory.OwnsSync) // saves the configuration even without IPVS
	ctx, cancel := context.WithTimeout(ctx, kernelTimeout)
	defer cancel()
	if d.kernel == nil {
		kernel, err := d.openKernel(ctx)
		if err != nil {
			due.everything()
			due.sysctls = false
			d.outcome(ctx, partTable, due, err)
			return
		}
		d.kernel = kernel
		due.everything()
	}
	if due.table() {
		due.all = due.all || d.adopting
		d.outcome(ctx, partTable, touched{all: due.all, keys: due.keys}, d.reconcileTable(ctx, due))
	}
	if due.times {
		d.outcome(ctx, partTimeouts, touched{times: true}, d.reconcileTimeouts(ctx))
	}
	if due.sync {
		d.outcome(ctx, partSync, touched{sync: true}, d.reconcileSync(ctx))
	}
}

// outcome records the result of reconciling due of a part, unless it failed only because the director is stopping.
func (d *Director) outcome(ctx context.Context, part string, due touched, err error) {
	if err == nil || !errors.Is(ctx.Err(), context.Canceled) {
		d.recordResult(part, due, err)
	}
}

// maxRest bounds the pause between two comparisons of services.
const maxRest = 25 * time.Millisecond

// rests reports whether services wait for their comparison because the last one has only just ended: after each, the director rests as
// long as it took. Thousands of results a second would otherwise keep it busy, and the checks from a CPU.
func (d *Director) rests(now time.Time) bool {
	t := &d.touched
	wait := d.resting.Sub(now)
	if len(t.keys) == 0 || t.all || t.sync || t.times || t.sysctls || wait <= 0 {
		return false
	}
	d.rested.Reset(wait)
	return true
}

func (d *Director) reconcileTable(ctx context.Context, due touched) error {
	began := time.Now()
	defer func() {
		now := time.Now()
		d.resting = now.Add(min(now.Sub(began), maxRest))
	}()
	kernel := awaited{d.kernel, d}
	var actual []ipvs.ServiceState
	var err error
	if due.all {
		actual, err = kernel.Table(ctx)
	} else {
		actual, err = kernel.Lookup(ctx, slices.Collect(maps.Keys(due.keys)))
	}
	if err != nil {
		return err
	}
	if d.adopting {
		d.adoptDiscovered(actual)
		d.adopted, d.adopting = pool.Adopt(d.cfg.Services, actual), false
		if d.reviewServiceTracks(time.Now()) {
			d.updateSpeaker()
		}
	}
	d.remember(d.owned(), d.memory.OwnsSync)
	inputs := d.inputs()
	inputs.Table = make(map[ipvs.ServiceKey][]ipvs.DestinationState, len(actual))
	for _, s := range actual {
		inputs.Table[s.ServiceKey] = s.Destinations
	}
	var want []ipvs.Entry
	for _, vs := range d.cfg.Services {
		if _, ok := due.keys[vs.ServiceKey]; ok || due.all {
			inputs.Adopted, inputs.Now = d.adopted, time.Now()
			verdict := pool.Decide(&vs, inputs)
			d.adopted = d.adopted.Without(verdict)
			d.noteVerdict(vs, verdict)
			want = append(want, verdict.Entry())
		}
	}
	err = ipvs.Apply(ctx, loggedApplier{kernel, d.Logger}, ipvs.Diff(want, actual, d.memory.owns()))
	d.programmed = d.programmed || err == nil
	if err == nil && due.all {
		d.remember(d.configured(), d.memory.OwnsSync)
	}
	return err
}

// reconcileTimeouts sets the kernel's connection timeouts that differ from the configured ones.
func (d *Director) reconcileTimeouts(ctx context.Context) error {
	if d.cfg.Timeouts == nil {
		return nil
	}
	kernel := awaited{d.kernel, d}
	current, err := kernel.Timeouts(ctx)
	if err != nil {
		return err
	}
	changes := timeoutChanges(current, *d.cfg.Timeouts)
	if len(changes) == 0 {
		return nil
	}
	if err := kernel.SetTimeouts(ctx, *d.cfg.Timeouts); err != nil {
		return err
	}
	for _, c := range changes {
		d.Logger.Info("IPVS timeout changed", "timeout", c.Field, "from", c.From, "to", c.To)
	}
	return nil
}

// configured returns the services in the configuration.
func (d *Director) configured() []ipvs.ServiceKey {
	keys := make([]ipvs.ServiceKey, 0, len(d.cfg.Services))
	for _, vs := range d.cfg.Services {
		keys = append(keys, vs.ServiceKey)
	}
	return keys
}

// owned returns the services that lvs-ha may change: those in the configuration, and those it created before.
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

// owns returns a function that reports whether lvs-ha may change a service.
func (m memory) owns() func(ipvs.ServiceKey) bool {
	owned := make(map[ipvs.ServiceKey]bool, len(m.Owned))
	for _, k := range m.Owned {
		owned[k] = true
	}
	return func(k ipvs.ServiceKey) bool { return owned[k] }
}

// follow sets the role of the connection sync, and thereby the preemption gate.
func (d *Director) follow(now time.Time) {
	v := followed(d.cfg)
	if v == nil {
		return
	}
	role, known := syncRole(d.vrrp[v.Name])
	if known && role != d.gate.role {
		d.gate.follow(role, now)
		d.updateSpeaker()
	}
}

// reconcileSync starts and stops the kernel's connection-sync daemons as needed.
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
	steps, err := connsync.Follow(ctx, awaited{d.kernel, d}, want)
	for _, step := range steps {
		d.Logger.Info("connection sync changed", "step", step.String())
	}
	if err == nil && len(want) == 0 {
		d.remember(d.memory.Owned, false)
	}
	return err
}
