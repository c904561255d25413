package speaker

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// Memory is returned once after a series of changes, not during it.
func TestMemoryIsTidiedWhenCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tidied := make(chan time.Duration, 10)
		var waste atomic.Int64
		tidy := func() {
			tidied <- time.Since(began)
			waste.Store(0)
		}
		m := &memory{newWakeup(), tidy, func() int { return int(waste.Load()) }}
		go m.run(t.Context())
		for range 4 {
			time.Sleep(calmAfter - time.Second)
			m.wake.notify()
		}
		last := time.Since(began)
		time.Sleep(time.Hour)
		synctest.Wait()
		if at := <-tidied; at != last+calmAfter || len(tidied) != 0 {
			t.Errorf("tidied after %v and %d times later, want once, %s after %s", at, len(tidied), calmAfter, last)
		}
		waste.Store(heapRoom + 1)
		time.Sleep(lookInterval)
		synctest.Wait()
		if len(tidied) != 1 {
			t.Errorf("%d bytes of garbage were collected %d times within %s, want once", heapRoom, len(tidied), lookInterval)
		}
		for len(tidied) > 0 {
			<-tidied
		}
		waste.Store(calmGarbage + 1)
		last = time.Since(began)
		time.Sleep(time.Hour)
		synctest.Wait()
		if at := <-tidied; at > last+calmInterval || len(tidied) != 0 {
			t.Errorf("tidied after %v and %d times later, want once, within %s of %s", at, len(tidied), calmInterval, last)
		}
	})
}

// TestCollections checks in a process of its own that the speaker alone decides when to collect, and that with one CPU a collection
// has one thread.
func TestCollections(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=collections")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

var kept []byte

func collectionsChild() error {
	prepareProcess(slog.New(slog.DiscardHandler))
	collected := func() uint32 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.NumGC
	}
	before := collected()
	for range 2 * heapRoom >> 20 {
		kept = make([]byte, 1<<20)
	}
	if now := collected(); now != before {
		return fmt.Errorf("%d collections that nobody asked for", now-before)
	}
	var one unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &one); err != nil {
		return err
	}
	first := 0
	for !one.IsSet(first) {
		first++
	}
	one.Zero()
	one.Set(first)
	if err := unix.SchedSetaffinity(os.Getpid(), &one); err != nil {
		return err
	}
	during := 0
	alone(func() {
		tidyMemory()
		during = runtime.GOMAXPROCS(0)
	})
	if after := runtime.GOMAXPROCS(0); during != 1 || after < minProcs {
		return fmt.Errorf("GOMAXPROCS is %d during a collection with one CPU and %d afterwards, want 1 and %d", during, after, minProcs)
	}
	if left := garbage(); left > 1<<20 {
		return fmt.Errorf("%d bytes of garbage are left", left)
	}
	return nil
}

// An instance takes few kilobytes: a process has thousands of them, and its heap may grow to several times what is in use.
func TestMemoryOfAnInstance(t *testing.T) {
	inUse := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // and what a sync.Pool has kept
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	g := newRig(t)
	g.quiet = true
	g.record()
	g.up("eth0", 2, "10.9.0.1/24")
	instances := fullHouse(200, time.Second)
	before := inUse()
	g.want(instances...)
	g.advance(5 * time.Second)
	const most = 8 << 10
	if each := (inUse() - before) / int64(len(instances)); each > most {
		t.Errorf("a master takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(g)
}
