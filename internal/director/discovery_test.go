package director

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// fakeDiscoverer records the sources, and reports answers on request.
type fakeDiscoverer struct {
	report  func(string, discovery.Report)
	sources map[string]config.Source
}

func (f *fakeDiscoverer) Run(ctx context.Context)                 { <-ctx.Done() }
func (f *fakeDiscoverer) Update(sources map[string]config.Source) { f.sources = sources }

// discovers is a configuration whose servers are discovered.
func discovers() *config.Config {
	cfg := twoServers()
	vs := &cfg.Services[0]
	vs.RealServers = nil
	vs.Discover = []config.Discover{{
		Source: config.Source{File: &config.FileSource{Path: "/run/web.json"}}, Drain: 10 * time.Second,
		Server: config.RealServer{Destination: ipvs.Destination{Weight: 1}},
	}}
	return cfg
}

// lists reports an answer of the only source.
func (b *bench) lists(err error, servers ...string) {
	b.t.Helper()
	r := discovery.Report{Err: err, At: time.Now()}
	for _, s := range servers {
		at := netip.MustParseAddrPort(s)
		r.Servers = append(r.Servers, config.ListedServer{Address: at.Addr(), Port: at.Port()})
	}
	for key := range b.discoverer.sources {
		b.discoverer.report(key, r)
	}
	synctest.Wait()
}

func (b *bench) source() api.Source { return b.status().Services[0].Sources[0] }

func newDiscoveringBench(t *testing.T) *bench {
	b := newBench(t)
	b.cfg = discovers()
	b.start(false)
	return b
}

func TestDiscoveredServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDiscoveringBench(t)
		defer func() { b.stop() }()
		if q := b.status().Services[0].Quorum.State; q != healthcheck.Unknown {
			t.Errorf("before the first answer the quorum is %s", q)
		}
		b.lists(nil, first, second)
		b.wantPool("")
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		b.wantPool(first + "=1 " + second + "=1")

		b.lists(errors.New("SERVFAIL"))
		b.wantPool(first + "=1 " + second + "=1")
		if s := b.source(); s.Error != "SERVFAIL" || s.Listed != 2 || s.Failed.IsZero() {
			t.Errorf("%+v", s)
		}

		b.lists(nil, first)
		b.wantPool(first + "=1 " + second + "=0")
		if s := b.source(); s.Error != "" || s.Listed != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(9 * time.Second)
		b.lists(nil, first, second) // in time to keep its state
		b.wantPool(first + "=1 " + second + "=1")
		b.lists(nil, first)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		b.wantPool(first + "=1")
		if n := len(b.checker.targets); n != 1 {
			t.Errorf("%d targets are checked", n)
		}
		b.lists(nil, first, second)
		b.wantPool(first + "=1")
		b.judge(second, healthcheck.Up)
		b.wantPool(first + "=1 " + second + "=1")
		var states, service []string
		all, _ := b.director.events.After("")
		for _, e := range all {
			switch e.Kind {
			case events.Discover:
				states = append(states, e.To)
			case events.Service:
				service = append(service, e.From+" to "+e.To)
			}
		}
		if want := []string{"unknown to up"}; !slices.Equal(service, want) {
			t.Errorf("the events of the service are %q, want %q", service, want)
		}
		if want := []string{"2 listed", "failed", "ok", "1 listed", "2 listed", "1 listed", "2 listed"}; !slices.Equal(states, want) {
			t.Errorf("the events are %q, want %q", states, want)
		}
	})
}

// TestListsSurvive checks that the last good list survives a restart, with and without a crash, and a reload.
func TestListsSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDiscoveringBench(t)
		b.lists(nil, first, second)
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		for _, restarted := range []bool{true, false} {
			b.stop()
			b.start(restarted)
			b.wantPool(first + "=1 " + second + "=1")
			b.lists(errors.New("no answer"))
			b.wantPool(first + "=1 " + second + "=1")
			b.judge(first, healthcheck.Up)
			b.judge(second, healthcheck.Down)
			b.wantPool(first + "=1")
			b.judge(second, healthcheck.Up)
		}
		b.cfg = discovers()
		b.cfg.Services[0].Discover[0].Server.Weight = 7
		b.cfg.Services[0].Discover[0].AllowEmpty = true // the source has another key
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantPool(first + "=7 " + second + "=7")
		b.stop()
		if n := len(b.director.memory.Config.Services[0].RealServers); n > 0 {
			t.Errorf("the saved configuration has %d discovered servers", n)
		}
	})
}

// TestConversionToDiscovery checks that the servers of a service stay when it is converted to discovery, until the first answer.
func TestConversionToDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.start(false)
		defer b.stop()
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		b.cfg = discovers()
		if p, err := b.director.Plan(t.Context(), nil); err != nil || len(p.Table) > 0 || len(p.Undiscovered) != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.wantPool(first + "=1 " + second + "=1")
		if s := b.source(); !s.Answered.IsZero() || s.Listed != 2 {
			t.Errorf("%+v", s)
		}
		b.lists(nil, first)
		b.wantPool(first + "=1 " + second + "=0")
	})
}

func TestOrdersForDiscoveredServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDiscoveringBench(t)
		defer b.stop()
		b.lists(nil, first, second)
		b.judge(first, healthcheck.Up)
		b.judge(second, healthcheck.Up)
		order := func(action api.OverrideAction, name string) error {
			_, err := b.director.Override(t.Context(), api.OverrideRequest{Action: action, Servers: []string{"http/" + name}})
			return err
		}
		if err := order(api.OverrideDrain, "192.168.10.2"); err != nil {
			t.Fatal(err)
		}
		b.wantPool(first + "=1 " + second + "=0")
		b.lists(nil, first)
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantPool(first + "=1")
		b.lists(nil, first, second)
		b.judge(second, healthcheck.Up)
		b.wantPool(first + "=1 " + second + "=0") // it is still drained
		b.lists(nil, first)
		time.Sleep(time.Minute)
		synctest.Wait()
		if absent := b.status().Services[0].Absent; len(absent) != 1 || absent[0].Address.String() != "192.168.10.2" || absent[0].Override.Action != api.OverrideDrain {
			t.Errorf("absent servers with orders: %+v", absent)
		}
		if err := order(api.OverrideEnable, "192.168.10.2"); err != nil {
			t.Fatal(err)
		}
		if absent := b.status().Services[0].Absent; len(absent) > 0 {
			t.Errorf("absent servers with orders: %+v", absent)
		}
		if err := order(api.OverrideEnable, "192.168.10.2"); err == nil {
			t.Error("a server that is neither listed nor drained was found")
		}
		b.lists(nil, first, second)
		b.judge(second, healthcheck.Up)
		b.wantPool(first + "=1 " + second + "=1")
	})
}

// TestSorryServerWaitsForDiscovery checks that a start does not show the sorry page, but a source without any list does.
func TestSorryServerWaitsForDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = discovers()
		b.cfg.Services[0].RealServers = []config.RealServer{{Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: netip.MustParseAddr("192.168.10.9"), Port: 80}, Weight: 1,
		}, Sorry: true}}
		b.start(false)
		defer b.stop()
		b.wantPool("192.168.10.9:80=0")
		b.lists(errors.New("no answer"))
		b.wantPool("192.168.10.9:80=1")
		b.lists(nil, first)
		b.judge(first, healthcheck.Up)
		b.wantPool(first + "=1 192.168.10.9:80=0")
	})
}

// TestServiceTrackWaitsForDiscovery checks that a track is not bad before the first answer.
func TestServiceTrackWaitsForDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.cfg = discovers()
		b.cfg.Tracks = []config.Track{{Name: "web", Service: &config.TrackService{Service: "http", Minimum: 1}}}
		b.start(false)
		defer b.stop()
		state := func() (s track.State) {
			b.changed(func() { s = b.director.results["web"].State })
			return s
		}
		if s := state(); s != track.Unknown {
			t.Errorf("before the first answer the track is %q", s)
		}
		b.lists(errors.New("no answer"))
		if s := state(); s != track.Bad {
			t.Errorf("without any list the track is %q", s)
		}
		b.lists(nil, first)
		b.judge(first, healthcheck.Up)
		if s := state(); s != track.Good {
			t.Errorf("with a server the track is %q", s)
		}
	})
}

func TestReportsOfRemovedSourcesAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDiscoveringBench(t)
		defer b.stop()
		b.lists(nil, first)
		b.judge(first, healthcheck.Up)
		late := b.discoverer.report
		b.cfg = twoServers()
		if _, err := b.director.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		late("file /run/web.json", discovery.Report{At: time.Now()})
		synctest.Wait()
		b.wantPool(first + "=1")
	})
}

// TestListsAreAppliedAtIntervals checks that applying lists of many servers, again and again, leaves time for everything else.
func TestListsAreAppliedAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newDiscoveringBench(t)
		defer b.stop()
		b.lists(nil, first)
		b.changed(func() { b.director.found.next = time.Now().Add(time.Second) }) // as after one that took 100 ms
		b.lists(nil, first, second)
		b.lists(nil, second)
		b.changed(func() {
			if n := len(b.checker.targets); n != 1 {
				t.Errorf("%d targets are checked", n)
			}
		})
		time.Sleep(time.Second)
		synctest.Wait()
		b.judge(second, healthcheck.Up)
		b.wantPool(second + "=1")
	})
}
