package ipvsnl

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl/ipvsnltest"
)

func openFake(t *testing.T, handle func(ipvsnltest.Call) ipvsnltest.Answer) (*Conn, *ipvsnltest.Kernel) {
	t.Helper()
	kernel := ipvsnltest.New(handle)
	c, err := OpenWith(t.Context(), kernel.Dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kernel.Release(); c.Close() })
	return c, kernel
}

func noModules(t *testing.T, err error) {
	t.Helper()
	load := loadModule
	loadModule = func(context.Context) error { return err }
	t.Cleanup(func() { loadModule = load })
}

func TestOpenWithoutIPVS(t *testing.T) {
	noModules(t, errors.New("modprobe ip_vs: not found"))
	kernel := ipvsnltest.New(nil)
	kernel.NoFamily = true
	_, err := OpenWith(t.Context(), kernel.Dial)
	if !errors.Is(err, ErrNoIPVS) || !strings.Contains(err.Error(), "run `modprobe ip_vs`") {
		t.Errorf("error %v does not name the missing part and the remedy", err)
	}
}

func TestOpenAfterLoadingTheModule(t *testing.T) {
	kernel := ipvsnltest.New(nil)
	kernel.NoFamily = true
	load := loadModule
	loadModule = func(context.Context) error { kernel.NoFamily = false; return nil }
	t.Cleanup(func() { loadModule = load })
	c, err := OpenWith(t.Context(), kernel.Dial)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestDoSendsExactMessage(t *testing.T) {
	c, kernel := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{} })
	if err := c.Do(t.Context(), Request{Command: CmdFlush}); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), Request{Command: CmdZero, Attributes: []byte{4, 0, 1, 0x80}}); err != nil {
		t.Fatal(err)
	}
	want := []ipvsnltest.Call{
		{Command: 17, Version: 1, Flags: netlink.Request | netlink.Acknowledge, Attributes: []byte{}},
		{Command: 16, Version: 1, Flags: netlink.Request | netlink.Acknowledge, Attributes: []byte{4, 0, 1, 0x80}},
	}
	if diff := cmp.Diff(want, kernel.Calls()); diff != "" {
		t.Error(diff)
	}
}

func TestRefusalKeepsTheSocket(t *testing.T) {
	refuse := true
	c, kernel := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer {
		if refuse {
			return ipvsnltest.Answer{Errno: syscall.EPERM}
		}
		return ipvsnltest.Answer{}
	})
	err := Explain(c.Do(t.Context(), Request{Command: CmdFlush}), nil)
	if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("got error %v, want EPERM with its remedy", err)
	}
	refuse = false
	if err := c.Do(t.Context(), Request{Command: CmdFlush}); err != nil {
		t.Error(err)
	}
	if kernel.Sockets() != 1 {
		t.Errorf("%d sockets were opened, want 1", kernel.Sockets())
	}
}

func TestDump(t *testing.T) {
	entries := [][]byte{{8, 0, 1, 0, 1, 0, 0, 0}, {8, 0, 1, 0, 2, 0, 0, 0}, {8, 0, 1, 0, 3, 0, 0, 0}}
	for n := range len(entries) + 1 {
		c, _ := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{Messages: entries[:n]} })
		got, err := c.Dump(t.Context(), Request{Command: CmdGetService})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([][]byte(nil), entries[:n]...), got); diff != "" {
			t.Errorf("%d entries: %s", n, diff)
		}
	}
}

func TestDumpInterrupted(t *testing.T) {
	attempts := 0
	c, _ := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer {
		attempts++
		return ipvsnltest.Answer{Messages: [][]byte{{}}, Interrupted: attempts < 3}
	})
	if _, err := c.Dump(t.Context(), Request{Command: CmdGetService}); err != nil || attempts != 3 {
		t.Errorf("got error %v after %d attempts, want a list after 3", err, attempts)
	}
	attempts = -1000
	if _, err := c.Dump(t.Context(), Request{Command: CmdGetService}); !errors.Is(err, ErrDumpInterrupted) || attempts != -1000+dumpAttempts {
		t.Errorf("got error %v after %d attempts, want %v after %d", err, attempts+1000, ErrDumpInterrupted, dumpAttempts)
	}
}

func TestHangingCallTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		hang.Store(true)
		c, kernel := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{Hangs: hang.Load()} })
		start := time.Now()
		if err := c.Do(t.Context(), Request{Command: CmdFlush}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want a timeout", err)
		}
		if waited := time.Since(start); waited != patience {
			t.Errorf("waited %v, want %v", waited, patience)
		}

		// The kernel still processes the first request: the next caller waits for its turn, until its own deadline.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Do(ctx, Request{Command: CmdFlush}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want a timeout", err)
		}

		hang.Store(false)
		kernel.Release()
		synctest.Wait()
		if err := c.Do(t.Context(), Request{Command: CmdFlush}); err != nil {
			t.Errorf("after a call that hung: %v", err)
		}
		if kernel.Sockets() != 2 {
			t.Errorf("%d sockets were opened, want a second one after a lost answer", kernel.Sockets())
		}
	})
}

func TestCanceledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, kernel := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{Hangs: true} })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := c.Do(ctx, Request{Command: CmdFlush}); !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
		kernel.Release()
	})
}

func TestClose(t *testing.T) {
	c, _ := openFake(t, func(ipvsnltest.Call) ipvsnltest.Answer { return ipvsnltest.Answer{} })
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Do(t.Context(), Request{Command: CmdFlush}); !errors.Is(err, ErrClosed) {
		t.Errorf("got error %v, want %v", err, ErrClosed)
	}
}

func TestConcurrentUse(t *testing.T) {
	c, _ := openFake(t, func(call ipvsnltest.Call) ipvsnltest.Answer {
		return ipvsnltest.Answer{Messages: [][]byte{call.Attributes}}
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := []byte{5, 0, 1, 0, byte(i), 0, 0, 0}
			for range 50 {
				got, err := c.Get(t.Context(), Request{Command: CmdGetInfo, Attributes: want})
				if err != nil || !cmp.Equal(want, got) {
					t.Errorf("got %v, %v, want %v", got, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}
