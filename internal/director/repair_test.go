package director

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/internal/sysctl/sysctltest"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// slowKernel lists its table slowly.
type slowKernel struct {
	*fakeKernel
	takes time.Duration
	lists atomic.Int64
}

func (k *slowKernel) Table(ctx context.Context) ([]ipvs.ServiceState, error) {
	k.lists.Add(1)
	time.Sleep(k.takes)
	return k.fakeKernel.Table(ctx)
}

// TestRepairIntervalFollowsCost clears the table, which must be restored after a pause of a hundred comparisons.
func TestRepairIntervalFollowsCost(t *testing.T) {
	const interval = 30 * time.Second
	for _, tt := range []struct{ takes, want time.Duration }{
		{0, minRepairPause},
		{2 * time.Millisecond, minRepairPause + 2*time.Millisecond},
		{5 * time.Millisecond, 505 * time.Millisecond},
		{time.Second, interval + time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Director.Repair = interval
			kernel := &slowKernel{fakeKernel: b.kernel, takes: tt.takes}
			b.openKernel = func() (Kernel, error) { return kernel, nil }
			b.start(false)
			defer b.stop()
			time.Sleep(10 * time.Second)
			b.judge(first, healthcheck.Up)
			before := kernel.lists.Load()
			time.Sleep(time.Minute)
			most := max(time.Minute/repairPauses, tt.takes*time.Duration(time.Minute/interval)) + tt.takes
			if spent := time.Duration(kernel.lists.Load()-before) * tt.takes; spent > most {
				t.Errorf("a list takes %v: %v of a minute went to lists", tt.takes, spent)
			}
			if err := b.kernel.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tt.want + time.Millisecond)
			synctest.Wait()
			b.wantPool(first + "=1")
		})
	}
}

// TestSingleSlowComparisonDoesNotDelayRepair has one slow comparison, as if it had waited for the CPU.
func TestSingleSlowComparisonDoesNotDelayRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Director.Repair = time.Minute
		kernel := &slowKernel{fakeKernel: b.kernel}
		b.openKernel = func() (Kernel, error) { return kernel, nil }
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		time.Sleep(time.Second)
		b.changed(func() { kernel.takes = 100 * time.Millisecond })
		time.Sleep(300 * time.Millisecond)
		b.changed(func() { kernel.takes = 0 })
		if err := b.kernel.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(minRepairPause + 200*time.Millisecond)
		synctest.Wait()
		b.wantPool(first + "=1")
	})
}

// TestFailedPartIsNotRepairedMoreOften matters because each attempt to open IPVS may load a module.
func TestFailedPartIsNotRepairedMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Director.Repair = 10 * time.Second
		var opened atomic.Int64
		b.openKernel = func() (Kernel, error) { opened.Add(1); return nil, ipvs.ErrNoIPVS }
		b.start(false)
		defer b.stop()
		time.Sleep(time.Minute)
		if n := opened.Load(); n > 15 {
			t.Errorf("opened %d times in a minute", n)
		}
	})
}

// TestReportedSysctlChangeIsRepairedImmediately has no other check of the parameters for a long time.
func TestReportedSysctlChangeIsRepairedImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		kernel := sysctltest.New(map[string]string{forwarding: "0"})
		b.sysctls = &sysctl.Keeper{Kernel: kernel, Identity: "boot/1", File: filepath.Join(b.dir, "sysctl.json")}
		b.cfg.Sysctl.Manage = true
		b.start(false)
		defer b.stop()
		if err := kernel.Write(forwarding, "0"); err != nil {
			t.Fatal(err)
		}
		b.changed(b.director.inbox.sysctlsChanged)
		synctest.Wait()
		if got := kernel.Values()[forwarding]; got != "1" {
			t.Errorf("%s is %s", forwarding, got)
		}
	})
}
