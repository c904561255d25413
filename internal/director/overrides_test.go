package director

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// order gives an order for servers, and returns the number of servers.
func (b *bench) order(r api.OverrideRequest, servers ...string) int {
	b.t.Helper()
	r.Servers = servers
	result, err := b.director.Override(context.Background(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(result.Servers)
}

// overriddenBench returns a director whose two servers are up.
func overriddenBench(t *testing.T) *bench {
	b := newBench(t)
	b.start(false)
	b.judge(first, healthcheck.Up)
	b.judge(second, healthcheck.Up)
	b.wantPool("192.168.10.1:80=1 192.168.10.2:80=1")
	return b
}

var drain, enable = api.OverrideRequest{Action: api.OverrideDrain}, api.OverrideRequest{Action: api.OverrideEnable}

func TestOverrideIsInTheKernelWhenItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := overriddenBench(t)
		defer b.stop()
		for _, tt := range []struct {
			request api.OverrideRequest
			servers []string
			matches int
			want    string
		}{
			{drain, []string{"http/192.168.10.1"}, 1, "192.168.10.1:80=0 192.168.10.2:80=1"},
			{enable, []string{"*/192.168.10.*"}, 2, "192.168.10.1:80=1 192.168.10.2:80=1"},
			{api.OverrideRequest{Action: api.OverrideWeight, Weight: 7}, []string{"http/*:80", "http/" + first}, 2, "192.168.10.1:80=7 192.168.10.2:80=7"},
			{api.OverrideRequest{Action: api.OverrideDisable}, []string{"ht*/" + second}, 1, "192.168.10.1:80=7"},
			{enable, []string{"http/*"}, 2, "192.168.10.1:80=1 192.168.10.2:80=1"},
		} {
			if n := b.order(tt.request, tt.servers...); n != tt.matches {
				t.Errorf("%v matched %d servers, want %d", tt.servers, n, tt.matches)
			}
			list, _ := b.director.Events().After("")
			if last := list[len(list)-1].To; tt.request.Action == api.OverrideWeight && last != "weight 7" {
				t.Errorf("the event of the weight says %q", last)
			}
			if got := b.pool(); got != tt.want {
				t.Errorf("after %s of %v, the pool is %q, want %q", tt.request.Action, tt.servers, got, tt.want)
			}
		}
	})
}

func TestInvalidOverridesChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := overriddenBench(t)
		defer b.stop()
		for _, tt := range []struct {
			request api.OverrideRequest
			status  int
		}{
			{api.OverrideRequest{Action: api.OverrideDrain}, http.StatusBadRequest},
			{api.OverrideRequest{Action: "pause", Servers: []string{"http/*"}}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideDrain, Servers: []string{"http"}}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideDrain, Servers: []string{"http/["}}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideDrain, Servers: []string{"http/*"}, For: -1}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideDrain, Servers: []string{"http/*"}, Weight: 1}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideDisable, Servers: []string{"http/*"}, Deadline: 1}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideEnable, Servers: []string{"http/*"}, Keep: true}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideWeight, Servers: []string{"http/*"}, Weight: 1 << 31}, http.StatusBadRequest},
			{api.OverrideRequest{Action: api.OverrideDrain, Servers: []string{"http/*", "http/10.9.9.9"}}, http.StatusNotFound},
			{api.OverrideRequest{Action: api.OverrideDrain, Servers: []string{"ftp/*"}}, http.StatusNotFound},
		} {
			_, err := b.director.Override(t.Context(), tt.request)
			if e, ok := err.(*api.Error); !ok || e.Status != tt.status {
				t.Errorf("%+v: %v, want status %d", tt.request, err, tt.status)
			}
		}
		b.wantPool("192.168.10.1:80=1 192.168.10.2:80=1")
	})
}

func TestOverrideEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := overriddenBench(t)
		defer b.stop()
		for range 2 {
			b.order(api.OverrideRequest{Action: api.OverrideDrain, For: api.Duration(time.Minute), Deadline: api.Duration(20 * time.Second)}, "http/192.168.10.1")
			time.Sleep(19 * time.Second)
			b.wantPool("192.168.10.1:80=0 192.168.10.2:80=1")
			time.Sleep(2 * time.Second)
			b.wantPool("192.168.10.2:80=1")
			b.reload()
			b.wantPool("192.168.10.2:80=1")
			time.Sleep(40 * time.Second)
			b.wantPool("192.168.10.1:80=1 192.168.10.2:80=1")
		}
	})
}

func TestOverridesSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := overriddenBench(t)
		b.order(api.OverrideRequest{Action: api.OverrideDrain, Keep: true, Reason: "kernel", By: "alice"}, "http/192.168.10.1")
		b.order(api.OverrideRequest{Action: api.OverrideWeight, Weight: 5}, "http/192.168.10.2")
		b.reload()
		b.wantPool("192.168.10.1:80=0 192.168.10.2:80=5")
		b.stop()

		b.start(true) // after a crash
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		b.wantPool("192.168.10.1:80=0 192.168.10.2:80=5")
		b.stop()

		b.start(false)
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		b.wantPool("192.168.10.1:80=0 192.168.10.2:80=1")
		o := b.status().Services[0].Servers[0].Override
		if o == nil || o.Action != api.OverrideDrain || o.By != "alice" || o.Reason != "kernel" || !o.Keep || o.Since.IsZero() {
			t.Errorf("the override is %+v", o)
		}

		both := b.cfg
		b.cfg = twoServers()
		b.cfg.Services[0].RealServers = b.cfg.Services[0].RealServers[1:]
		b.reload()
		b.cfg = both
		b.reload()
		b.judge(first, healthcheck.Up)
		b.wantPool("192.168.10.1:80=1 192.168.10.2:80=1")
		b.stop()
	})
}

// TestOverridesCountForTracks drains the last server of a tracked service.
func TestOverridesCountForTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Tracks = []config.Track{{Name: "http", Service: &config.TrackService{Service: "http"}}}
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		state := func() (s track.State) {
			synctest.Wait()
			_ = b.director.view(t.Context(), func() { s = b.director.results["http"].State })
			return s
		}
		if s := state(); s != track.Good {
			t.Errorf("the track is %s", s)
		}
		b.judge(second, healthcheck.Down)
		b.order(drain, "http/192.168.10.1")
		if s := state(); s != track.Bad {
			t.Errorf("the track is %s", s)
		}
		b.order(enable, "http/192.168.10.1")
		if s := state(); s != track.Good {
			t.Errorf("the track is %s", s)
		}
	})
}

// TestSlowStartFollowsTheClock: no event but the time raises the weight.
func TestSlowStartFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg.Services[0].SlowStart = 20 * time.Second
		b.cfg.Services[0].RealServers[0].Weight = 9
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Down)
		b.judge(first, healthcheck.Up)
		b.wantPool("192.168.10.1:80=1")
		time.Sleep(10 * time.Second)
		b.wantPool("192.168.10.1:80=4")
		time.Sleep(10 * time.Second)
		b.wantPool("192.168.10.1:80=9")
	})
}

// TestPoolIsNotified runs the scripts of a service and of one server.
func TestPoolIsNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		web := &b.cfg.Services[0]
		web.Notify = &config.Notify{All: []string{"x", "service"}, Timeout: time.Second}
		web.RealServers[0].Notify = &config.Notify{Up: []string{"x", "first", "up"}, Down: []string{"x", "first", "down"}, Timeout: time.Second}
		b.start(false)
		defer b.stop()
		ran := func(want ...string) { // each receiver has a queue of its own
			t.Helper()
			synctest.Wait()
			slices.Sort(b.scripts)
			b.wantScripts(want...)
		}
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		ran("first up", "service SERVICE http UP")
		b.judge(first, healthcheck.Down)
		ran("first down")
		b.reload()
		b.order(drain, "http/192.168.10.2")
		ran("service SERVICE http DOWN")
		b.order(enable, "http/192.168.10.2")
		b.judge(first, healthcheck.Up)
		ran("first up", "service SERVICE http UP")
	})
}

// TestUncheckedServersAreNotNotified: a server without checks has no other state, whatever the quorum makes of it.
func TestUncheckedServersAreNotNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		web := &b.cfg.Services[0]
		sorry := config.RealServer{Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr("192.168.10.9"), Port: 80}, Weight: 1,
		}, Sorry: true}
		sorry.Notify = &config.Notify{All: []string{"x", "sorry"}, Timeout: time.Second}
		web.RealServers = append(web.RealServers, sorry)
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		b.judge(first, healthcheck.Down)
		b.judge(second, healthcheck.Down)
		b.wantPool("192.168.10.9:80=1")
		synctest.Wait()
		b.wantScripts()
	})
}
