package director

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestStatusShowsLeavingServers checks that a status has every server of the kernel's table: also one whose check has failed, or that is
// not a server of the service any more, while it keeps its connections.
func TestStatusShowsLeavingServers(t *testing.T) {
	remove := map[string]func(b *bench){
		"a failed check": func(b *bench) { b.judge(second, healthcheck.Down) },
		"a reload": func(b *bench) {
			b.cfg = twoServers()
			b.cfg.Services[0].Linger = 2 * time.Second
			b.cfg.Services[0].RealServers = b.cfg.Services[0].RealServers[:1]
			if _, err := b.director.Reload(b.t.Context()); err != nil {
				b.t.Fatal(err)
			}
		},
		"discovery": func(b *bench) { b.lists(nil, first) },
	}
	for what, event := range remove {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if what == "discovery" {
					b.cfg = discovers()
					b.cfg.Services[0].Discover[0].Drain = 0
				}
				b.cfg.Services[0].Linger = 2 * time.Second
				b.start(false)
				defer b.stop()
				if what == "discovery" {
					b.lists(nil, first, second)
				}
				b.judge(first, healthcheck.Up)
				b.judge(second, healthcheck.Up)
				b.wantLeaving(what, "", time.Time{})

				until := time.Now().Add(2 * time.Second)
				event(b)
				synctest.Wait()
				b.wantPool(first + "=1 " + second + "=0")
				b.kernel.Edit(func(table []ipvs.ServiceState) []ipvs.ServiceState {
					table[0].Destinations[1].Active = 7
					return table
				})
				b.wantLeaving(what, second, until)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				b.wantPool(first + "=1")
				b.wantLeaving(what, "", time.Time{})
			})
		})
	}
}

// wantLeaving checks which server leaves the table, until when: one of the service if its check has failed, and otherwise another one.
func (b *bench) wantLeaving(what, server string, until time.Time) {
	b.t.Helper()
	service := b.status().Services[0]
	if what != "a failed check" && len(service.Leaving) != min(1, len(server)) {
		b.t.Errorf("%d servers have been removed and leave the table, want %q", len(service.Leaving), server)
	}
	for _, r := range append(service.Servers, service.Leaving...) {
		leaves := r.ServerKey.String() == server
		if leaves == r.LeavingUntil.IsZero() || leaves && (!r.LeavingUntil.Equal(until) || !r.Present || r.KernelWeight != 0 || r.Active != 7) {
			b.t.Errorf("%s leaves at %v: %+v; want %q at %v", r.ServerKey, r.LeavingUntil, r, server, until)
		}
	}
	if troubles := (api.Status{Services: []api.Service{service}}).Troubles(); what != "a failed check" && len(troubles) > 0 {
		b.t.Errorf("problems: %+v", troubles)
	}
}
