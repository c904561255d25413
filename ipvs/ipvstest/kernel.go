// Package ipvstest is an IPVS table in memory, for tests of what plans and applies. It answers as the kernel does,
// refuses what a test wants refused, and shows each state between two steps.
package ipvstest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Kernel is a table in memory. It is safe for concurrent use.
type Kernel struct {
	// Fail, if set, returns the errno that a step is refused with, or 0. It is called before the step, under the lock.
	Fail func(ipvs.Step) syscall.Errno
	// Lost, if set, is the error of every call: the connection does not work.
	Lost error
	// After, if set, sees the table after each step that worked, under the lock.
	After func(ipvs.Step, []ipvs.ServiceState)

	mu       sync.Mutex
	table    []ipvs.ServiceState
	timeouts ipvs.Timeouts
	steps    []ipvs.Step
}

// New returns a kernel with a table.
func New(table ...ipvs.ServiceState) *Kernel {
	return &Kernel{table: clone(table), timeouts: ipvs.Timeouts{TCP: 900, TCPFin: 120, UDP: 300}}
}

// State returns an entry as the kernel would have it.
func State(e ipvs.Entry) ipvs.ServiceState {
	s := ipvs.ServiceState{Service: e.Service}
	for _, d := range e.Destinations {
		s.Destinations = append(s.Destinations, ipvs.DestinationState{Destination: d})
	}
	return s
}

// Steps returns the steps that were carried out so far.
func (k *Kernel) Steps() []ipvs.Step {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.steps)
}

// Table returns the whole table.
func (k *Kernel) Table(context.Context) ([]ipvs.ServiceState, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Lost != nil {
		return nil, k.Lost
	}
	return clone(k.table), nil
}

// Lookup returns those of the named services that exist.
func (k *Kernel) Lookup(ctx context.Context, keys []ipvs.ServiceKey) ([]ipvs.ServiceState, error) {
	table, err := k.Table(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(table, func(s ipvs.ServiceState) bool { return !slices.Contains(keys, s.ServiceKey) }), nil
}

// Services returns the services without their servers.
func (k *Kernel) Services(ctx context.Context) ([]ipvs.ServiceState, error) {
	table, err := k.Table(ctx)
	for i := range table {
		table[i].Destinations = nil
	}
	return table, err
}

// Service returns a service without its servers. The error of one that does not exist is ESRCH.
func (k *Kernel) Service(ctx context.Context, key ipvs.ServiceKey) (ipvs.ServiceState, error) {
	found, err := k.Lookup(ctx, []ipvs.ServiceKey{key})
	if err == nil && len(found) == 0 {
		err = syscall.ESRCH
	}
	if err != nil {
		return ipvs.ServiceState{}, err
	}
	found[0].Destinations = nil
	return found[0], nil
}

// EachDestination calls each with the servers of services.
func (k *Kernel) EachDestination(ctx context.Context, services []ipvs.ServiceKey, begin func(i int), each func(i int, d *ipvs.DestinationState)) error {
	for i, key := range services {
		begin(i)
		found, err := k.Lookup(ctx, []ipvs.ServiceKey{key})
		if err != nil {
			return err
		}
		for _, s := range found {
			for j := range s.Destinations {
				each(i, &s.Destinations[j])
			}
		}
	}
	return nil
}

// Timeouts returns the timeouts.
func (k *Kernel) Timeouts(context.Context) (ipvs.Timeouts, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.timeouts, k.Lost
}

// SetTimeouts changes those timeouts that are not 0.
func (k *Kernel) SetTimeouts(_ context.Context, t ipvs.Timeouts) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Lost != nil {
		return k.Lost
	}
	was := k.timeouts
	k.timeouts = ipvs.Timeouts{TCP: cmp.Or(t.TCP, was.TCP), TCPFin: cmp.Or(t.TCPFin, was.TCPFin), UDP: cmp.Or(t.UDP, was.UDP)}
	return nil
}

// Info returns a version and a size.
func (k *Kernel) Info(context.Context) (ipvs.Info, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return ipvs.Info{Version: 0x010201, TableSize: 4096}, k.Lost
}

// Flush deletes all services.
func (k *Kernel) Flush(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Lost == nil {
		k.table = nil
	}
	return k.Lost
}

// Zero sets the counters of a service to zero.
func (k *Kernel) Zero(_ context.Context, key ipvs.ServiceKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Lost != nil {
		return k.Lost
	}
	i := slices.IndexFunc(k.table, func(s ipvs.ServiceState) bool { return s.ServiceKey == key })
	if i < 0 {
		return &ipvsnl.Error{Errno: syscall.ESRCH}
	}
	zero(&k.table[i])
	return nil
}

// ZeroAll sets all counters to zero.
func (k *Kernel) ZeroAll(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Lost == nil {
		for i := range k.table {
			zero(&k.table[i])
		}
	}
	return k.Lost
}

func zero(s *ipvs.ServiceState) {
	s.Stats = ipvs.Stats{}
	for i := range s.Destinations {
		s.Destinations[i].Stats = ipvs.Stats{}
	}
}

// Execute carries out steps in order.
func (k *Kernel) Execute(_ context.Context, steps []ipvs.Step) []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errs := make([]error, len(steps))
	for i, s := range steps {
		errs[i] = k.execute(s)
	}
	return errs
}

func (k *Kernel) execute(s ipvs.Step) error {
	err := k.Lost
	if err == nil {
		var errno syscall.Errno
		if k.Fail != nil {
			errno = k.Fail(s)
		}
		if errno == 0 {
			errno = k.change(s)
		}
		if errno != 0 {
			err = &ipvsnl.Error{Errno: errno}
		}
	}
	if err != nil {
		return &ipvs.StepError{Step: s, Err: err}
	}
	k.steps = append(k.steps, s)
	if k.After != nil {
		k.After(s, clone(k.table))
	}
	return nil
}

// Close does nothing.
func (k *Kernel) Close() error { return nil }

// Edit changes the table behind everybody's back.
func (k *Kernel) Edit(f func([]ipvs.ServiceState) []ipvs.ServiceState) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.table = f(k.table)
}

func clone(table []ipvs.ServiceState) []ipvs.ServiceState {
	table = slices.Clone(table)
	for i := range table {
		table[i].Destinations = slices.Clone(table[i].Destinations)
	}
	return table
}
