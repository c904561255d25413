package director

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/explain"
	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// recorded is the virtual router of a director's speaker, with its recording.
type recorded struct {
	*bench
	machine *vrrp.Machine
	log     *flight.Log
}

func (b *bench) recorded() *recorded {
	f, err := flight.Create("/proc", func(string) *os.File { return nil })
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { f.Close() })
	recorder, err := flight.Open(f, func() int64 { return time.Now().UnixNano() })
	if err != nil {
		b.t.Fatal(err)
	}
	in := vrrp.Instance{
		Name: "web", Interface: "eth0", VirtualRouterID: 51, Version: 3, Family: vrrp.IPv4, Priority: 150, AdvertiseInterval: 100 * time.Millisecond, Preempt: true,
	}
	r := &recorded{bench: b, machine: vrrp.NewMachine(in)}
	r.log = recorder.Begin(in.Interface, in.Family, in.VirtualRouterID, r.machine, time.Now())
	r.log.Start(&in, time.Now())
	b.director.Recording = f
	return r
}

func (r *recorded) step(ev vrrp.Event) {
	r.log.Event(ev, time.Now())
	for _, a := range r.machine.Step(ev, time.Now()) {
		if changed, ok := a.(vrrp.Changed); ok {
			r.log.Changed(changed, time.Now())
		}
	}
}

// follow passes the tracks that the director wants to the virtual router, as a speaker does, and waits.
func (r *recorded) follow(d time.Duration) {
	synctest.Wait()
	r.step(vrrp.SetTracks{Tracks: r.speaker.wanted().Instances[0].Tracks})
	for end := time.Now().Add(d); ; {
		at, ok := r.machine.Deadline()
		if !ok || at.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(at))
		r.step(vrrp.Timeout{})
	}
}

// TestExplainedPools makes the pool of a tracked service lose its quorum, and gain it: the cause of what the virtual router does is the
// pool, or an operator's order if that was what changed the pool.
func TestExplainedPools(t *testing.T) {
	zero := api.OverrideRequest{Action: api.OverrideWeight, By: "root"}
	give := func(r api.OverrideRequest, servers ...string) func(b *bench) {
		r.By = "root"
		return func(b *bench) { b.order(r, servers...) }
	}
	judge := func(server string, s healthcheck.State) func(b *bench) {
		return func(b *bench) { b.judge(server, s) }
	}
	disable := api.OverrideRequest{Action: api.OverrideDisable}
	for name, tt := range map[string]struct {
		before, change, end func(b *bench)
		minimum             int
		want, back          explain.Code
		text                string
	}{
		"all checks fail": {
			before: judge(second, healthcheck.Down), change: judge(first, healthcheck.Down), end: judge(first, healthcheck.Up),
			want: "track-service", back: explain.Recovered, text: "quorum lost",
		},
		"too few real servers": {
			change: judge(first, healthcheck.Down), end: judge(first, healthcheck.Up), minimum: 2,
			want: "track-service", back: explain.Recovered, text: "1 of 2 real servers in use, at least 2 required",
		},
		"all are drained": {
			change: give(drain, "http/*"), end: give(enable, "http/*"),
			want: explain.Ordered, back: explain.Recovered, text: "http/192.168.10.1:80: drain by root, and 1 more; service pool: 0 of 2 real servers in use; quorum lost",
		},
		"the last one that works is drained": {
			before: judge(second, healthcheck.Down), change: give(drain, "http/192.168.10.1"), end: give(enable, "http/192.168.10.1"),
			want: explain.Ordered, back: explain.Recovered, text: "http/192.168.10.1:80: drain by root; service pool",
		},
		"weight 0": {
			change: give(zero, "http/*"), end: give(enable, "http/*"),
			want: explain.Ordered, back: explain.Recovered, text: "http/192.168.10.1:80: weight 0 by root",
		},
		"disabled, and a check fails later": {
			before: give(disable, "http/192.168.10.1"), change: judge(second, healthcheck.Down), end: judge(second, healthcheck.Up),
			want: "track-service", back: explain.Recovered, text: "quorum lost",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.cfg.Tracks = []config.Track{{Name: "pool", Service: &config.TrackService{Service: "http", Minimum: tt.minimum}}}
				b.cfg.VRRP = []config.VRRP{{Instance: vrrp.Instance{Name: "web"}, Tracks: []config.TrackUse{{Name: "pool"}}}}
				b.start(false)
				defer b.stop()
				b.judge(first, healthcheck.Up)
				b.judge(second, healthcheck.Up)
				r := b.recorded()
				r.step(vrrp.Up{Source: netip.MustParseAddr("192.0.2.1")})
				r.follow(10 * time.Second)
				explained := func(want explain.Code, from, to vrrp.State, text string) {
					t.Helper()
					s, err := b.director.Explain(t.Context(), "web", time.Time{})
					if err != nil {
						t.Fatal(err)
					}
					if s.Cause != want || s.From != from || s.To != to || !strings.Contains(s.Text, text) {
						t.Errorf("%s -> %s because of %s, want %s: %s\n%+v", s.From, s.To, s.Cause, want, s.Text, s.Seen)
					}
				}
				explained(explain.NoMaster, vrrp.Backup, vrrp.Master, "")
				if tt.before != nil {
					tt.before(b)
					r.follow(time.Second)
				}
				tt.change(b)
				r.follow(10 * time.Second)
				explained(tt.want, vrrp.Leaving, vrrp.Initialize, tt.text)
				tt.end(b)
				r.follow(0)
				explained(tt.back, vrrp.Initialize, vrrp.Backup, "")
			})
		})
	}
}
