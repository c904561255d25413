package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// faultyKernel fails some calls.
type faultyKernel struct {
	*fakeKernel
	mu    sync.Mutex
	calls int
	fault func(n int) error // for the nth call, from 0; nil: success
	done  bool              // failing calls still take effect
}

// failing calls f, or fails.
func (k *faultyKernel) failing(f func() error) error {
	k.mu.Lock()
	n := k.calls
	k.calls++
	var fault error
	if k.fault != nil {
		fault = k.fault(n)
	}
	done := k.done
	k.mu.Unlock()
	if fault != nil && !done {
		return fault
	}
	return errors.Join(f(), fault)
}

func (k *faultyKernel) set(fault func(n int) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls, k.fault = 0, fault
}

func (k *faultyKernel) asked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls
}

func (k *faultyKernel) Table(ctx context.Context) (t []ipvs.ServiceState, err error) {
	err = k.failing(func() error { t, err = k.fakeKernel.Table(ctx); return err })
	return t, err
}

func (k *faultyKernel) Lookup(ctx context.Context, keys []ipvs.ServiceKey) (t []ipvs.ServiceState, err error) {
	err = k.failing(func() error { t, err = k.fakeKernel.Lookup(ctx, keys); return err })
	return t, err
}

func (k *faultyKernel) Execute(ctx context.Context, steps []ipvs.Step) []error {
	var errs []error
	if err := k.failing(func() error { errs = k.fakeKernel.Execute(ctx, steps); return nil }); err != nil {
		errs = nil
		for _, s := range steps {
			errs = append(errs, &ipvs.StepError{Step: s, Err: err})
		}
	}
	return errs
}

func (k *faultyKernel) Timeouts(ctx context.Context) (t ipvs.Timeouts, err error) {
	err = k.failing(func() error { t, err = k.fakeKernel.Timeouts(ctx); return err })
	return t, err
}

func (k *faultyKernel) SetTimeouts(ctx context.Context, t ipvs.Timeouts) error {
	return k.failing(func() error { return k.fakeKernel.SetTimeouts(ctx, t) })
}

func (k *faultyKernel) Daemons(ctx context.Context) (list []connsync.Running, err error) {
	err = k.failing(func() error { list, err = k.fakeKernel.Daemons(ctx); return err })
	return list, err
}

func (k *faultyKernel) Start(ctx context.Context, role connsync.Role, d connsync.Daemon) error {
	return k.failing(func() error { return k.fakeKernel.Start(ctx, role, d) })
}

func (k *faultyKernel) Stop(ctx context.Context, role connsync.Role) error {
	return k.failing(func() error { return k.fakeKernel.Stop(ctx, role) })
}

// faultySysctls fail once for each fault.
type faultySysctls struct {
	mu     sync.Mutex
	faults []error
	set    []sysctl.Setting
}

func (s *faultySysctls) Apply(settings []sysctl.Setting) ([]sysctl.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) > 0 {
		err := s.faults[0]
		s.faults = s.faults[1:]
		return nil, err
	}
	s.set = settings
	return nil, nil
}

// everythingWanted returns a configuration that uses all kernel features of a director.
func everythingWanted() *config.Config {
	cfg := withSync()
	cfg.Timeouts = &ipvs.Timeouts{TCP: 60}
	cfg.Director.Repair = time.Minute // too late to help
	return cfg
}

// TestTransientKernelFaultIsCorrectedAtOnce checks that a transient fault in any call is corrected within a second, whether or
// not the kernel executed the request.
func TestTransientKernelFaultIsCorrectedAtOnce(t *testing.T) {
	lost := fmt.Errorf("%w: %w", ipvsnl.ErrUnknownOutcome, errors.Join(syscall.EAGAIN, ipvsnl.ErrNoAnswer))
	for _, fault := range []error{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY, syscall.ENOBUFS, syscall.EMFILE, lost, ipvsnl.ErrDumpInterrupted} {
		for _, done := range []bool{false, true} {
			for n := range 12 {
				t.Run(fmt.Sprintf("%v, done %v, at %d", fault, done, n), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := newBench(t)
						b.cfg = everythingWanted()
						kernel := &faultyKernel{fakeKernel: b.kernel, done: done}
						b.openKernel = func() (Kernel, error) { return kernel, nil }
						kernel.set(func(call int) error {
							if call == n {
								return fault
							}
							return nil
						})
						b.start(false)
						defer b.stop()
						b.judge(first, healthcheck.Up)
						b.judge(second, healthcheck.Up)
						b.vrrpState(vrrp.Master)
						b.judge(second, healthcheck.Down)
						time.Sleep(time.Second)
						synctest.Wait()
						b.wantPool(first + "=1")
						if got, _ := b.kernel.Timeouts(t.Context()); got.TCP != 60 {
							t.Errorf("timeouts %+v", got)
						}
						if got := b.kernel.running(); len(got) != 1 || got[0].Role != connsync.Master {
							t.Errorf("sync daemons %v", got)
						}
						if s := b.status(); len(s.Problems) != 1 { // no speaker is connected
							t.Errorf("problems: %+v", s.Problems)
						}
					})
				})
			}
		}
	}
}

func TestFaultAtStopLeavesNothingBehind(t *testing.T) {
	for _, done := range []bool{false, true} {
		for n := range 6 {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.cfg = everythingWanted()
				b.cfg.Director.OnStop, b.cfg.Sysctl.Manage = "remove", true
				kernel := &faultyKernel{fakeKernel: b.kernel, done: done}
				sysctls := &faultySysctls{}
				b.openKernel, b.sysctls = func() (Kernel, error) { return kernel, nil }, sysctls
				b.start(false)
				b.judge(first, healthcheck.Up)
				b.vrrpState(vrrp.Master)
				sysctls.faults = []error{syscall.EINTR}
				kernel.set(func(call int) error {
					if call == n {
						return syscall.EBUSY
					}
					return nil
				})
				b.stop()
				if table, _ := b.kernel.Table(t.Context()); len(table) != 0 || len(b.kernel.running()) != 0 || len(sysctls.set) != 0 {
					t.Errorf("fault at %d: left %v, %v, %v", n, table, b.kernel.running(), sysctls.set)
				}
			})
		}
	}
}

func TestKernelOpenIsRetriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = everythingWanted()
		tries := 0
		b.openKernel = func() (Kernel, error) {
			if tries++; tries < 5 {
				return nil, syscall.EMFILE
			}
			return b.kernel, nil
		}
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantPool(first + "=1")
	})
}

func TestSysctlsAreRetriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = everythingWanted()
		b.cfg.Sysctl.Manage = true
		sysctls := &faultySysctls{faults: []error{syscall.EMFILE, syscall.EINTR, syscall.EBUSY}}
		b.sysctls = sysctls
		b.start(false)
		defer b.stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(sysctls.set) == 0 {
			t.Error("they are not set")
		}
		if s := b.status(); len(s.Problems) != 1 { // no speaker is connected
			t.Errorf("problems: %+v", s.Problems)
		}
	})
}

// TestRefusalIsRetriedWithBackoff checks that a permanent failure is retried at increasing intervals, and that events do not
// cause retries of unrelated failures.
func TestRefusalIsRetriedWithBackoff(t *testing.T) {
	for _, tt := range []struct {
		fault error
		most  int // tries in the first minute
	}{
		{&ipvsnl.Error{Errno: syscall.ENOENT}, 20},
		{syscall.EBUSY, 30},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Director.Repair = 10 * time.Second
			kernel := &faultyKernel{fakeKernel: b.kernel}
			kernel.set(func(int) error { return tt.fault })
			b.openKernel = func() (Kernel, error) { return kernel, nil }
			b.start(false)
			defer b.stop()
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := kernel.asked(); got > tt.most || got < 7 {
				t.Errorf("%v: the kernel was asked %d times in a minute, want 7 to %d", tt.fault, got, tt.most)
			}
		})
	}
}

func TestOnlyFailedServiceIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Director.Repair = time.Minute
		other := b.cfg.Services[0]
		other.Name, other.Port, other.RealServers = "other", 81, nil
		b.cfg.Services = append(b.cfg.Services, other)
		busy := true
		b.kernel.Fail = func(s ipvs.Step) syscall.Errno {
			if s.Service.Port == 81 && busy {
				return syscall.EBUSY
			}
			return 0
		}
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1")
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("a fault of the moment is a problem: %+v", s.Problems)
		}
		time.Sleep(10 * lasting)
		if s := b.status(); len(s.Problems) != 1 || s.Problems[0].What != "ipvs" {
			t.Errorf("problems: %+v", s.Problems)
		}
		b.changed(func() { busy = false })
		time.Sleep(time.Second)
		synctest.Wait()
		table, _ := b.kernel.Table(t.Context())
		if !slices.ContainsFunc(table, func(s ipvs.ServiceState) bool { return s.Port == 81 }) {
			t.Error("it was not tried again")
		}
		if s := b.status(); len(s.Problems) != 0 {
			t.Errorf("problems: %+v", s.Problems)
		}
	})
}

// hangingKernel does not respond while hang is open.
type hangingKernel struct {
	*fakeKernel
	hang chan struct{}
}

func (k hangingKernel) Table(ctx context.Context) ([]ipvs.ServiceState, error) {
	select {
	case <-k.hang:
		return k.fakeKernel.Table(ctx)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// failingKernel fails to read the table while broken is set.
type failingKernel struct {
	*fakeKernel
	broken *atomic.Bool
}

func (k failingKernel) Table(ctx context.Context) ([]ipvs.ServiceState, error) {
	if k.broken.Load() {
		return nil, syscall.ENOMEM
	}
	return k.fakeKernel.Table(ctx)
}

// TestAgeOfCounters: a status says when the kernel was last read, also if it cannot be read now.
func TestAgeOfCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var broken atomic.Bool
		b.openKernel = func() (Kernel, error) { return failingKernel{b.kernel, &broken}, nil }
		b.start(false)
		defer b.stop()
		read := time.Now()
		if s := b.status(); !s.KernelRead.Equal(read) {
			t.Errorf("the kernel was read at %v, want %v", s.KernelRead, read)
		}
		time.Sleep(time.Minute)
		broken.Store(true)
		if s := b.status(); !s.KernelRead.Equal(read) || !s.KernelUnknown() {
			t.Errorf("the kernel was read at %v, want %v; problems %+v", s.KernelRead, read, s.Problems)
		}
	})
}

// TestReadersDoNotWaitForKernel checks that while the kernel hangs, status and plan respond in time and report it, and the
// director reports that it is alive.
func TestReadersDoNotWaitForKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hang := make(chan struct{})
		b.openKernel = func() (Kernel, error) { return hangingKernel{b.kernel, hang}, nil }
		b.start(false)
		defer b.stop()
		defer close(hang)
		start := time.Now()
		s := b.status()
		if took := time.Since(start); took > countersTimeout+time.Second {
			t.Errorf("the status took %v", took)
		}
		if !slices.ContainsFunc(s.Problems, func(p api.Problem) bool { return p.What == api.ProblemUnread }) {
			t.Errorf("problems: %+v", s.Problems)
		}
		if !s.KernelRead.IsZero() {
			t.Errorf("the kernel was read at %v", s.KernelRead)
		}
		before := b.speaker.heard()
		time.Sleep(5 * time.Second)
		if heard := b.speaker.heard() - before; heard < 4 {
			t.Errorf("it said %d times in 5 s that it is alive", heard)
		}
	})
}
