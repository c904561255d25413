package director

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// busyKernel takes a time for each lookup, and counts them.
type busyKernel struct {
	Kernel
	takes   time.Duration
	lookups atomic.Int64
}

func (k *busyKernel) Lookup(ctx context.Context, keys []ipvs.ServiceKey) ([]ipvs.ServiceState, error) {
	k.lookups.Add(1)
	time.Sleep(k.takes)
	return k.Kernel.Lookup(ctx, keys)
}

// TestDirectorRests checks that a director that receives results all the time compares services half of the time, that a single result is
// applied at once, and that the last one is not forgotten.
func TestDirectorRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 10 * time.Millisecond
		b := newBench(t)
		slow := &busyKernel{Kernel: b.kernel, takes: takes}
		b.openKernel = func() (Kernel, error) { return slow, nil }
		b.start(false)
		defer b.stop()
		time.Sleep(time.Second)
		b.judge(first, healthcheck.Up)
		time.Sleep(takes)
		synctest.Wait()
		b.wantPool(first + "=1")

		before := slow.lookups.Load()
		for i := range 1000 {
			b.judge(second, []healthcheck.State{healthcheck.Up, healthcheck.Down}[i%2])
			time.Sleep(time.Millisecond)
		}
		if n := slow.lookups.Load() - before; n < 40 || n > 60 {
			t.Errorf("%d comparisons of %v in a second", n, takes)
		}
		b.judge(second, healthcheck.Up)
		time.Sleep(3 * takes)
		synctest.Wait()
		b.wantPool(first + "=1 " + second + "=1")
	})
}
