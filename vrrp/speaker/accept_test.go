package speaker

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAcceptFilter checks that the filter is not used without need, that it is applied again after an error, and that it is
// removed at the end.
func TestAcceptFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vip := []netip.Addr{netip.MustParseAddr("192.0.2.10")}
		var applied [][]netip.Addr
		var problems []string
		var refuse atomic.Bool
		f := newAcceptFilter(slog.New(slog.DiscardHandler), func(a []netip.Addr) error {
			applied = append(applied, a)
			if refuse.Load() {
				return errors.New("no nftables")
			}
			return nil
		})
		f.result = func(p string) { problems = append(problems, p) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.run(ctx) }()
		set := func(a []netip.Addr) { f.set(a); synctest.Wait() }

		set(nil) // has no effect
		refuse.Store(true)
		set(vip)
		time.Sleep(2*acceptRetryGap + time.Second)
		refuse.Store(false)
		time.Sleep(2 * acceptRetryGap)
		set(nil)
		set(vip)
		cancel()
		<-done
		want := [][]netip.Addr{vip, vip, vip, vip, nil, vip, nil}
		if !slices.EqualFunc(applied, want, slices.Equal) {
			t.Errorf("applied %v, want %v", applied, want)
		}
		if want := []string{"this host accepts packets to the addresses: no nftables", ""}; !slices.Equal(problems, want) {
			t.Errorf("problems %q, want %q", problems, want)
		}
	})
}
