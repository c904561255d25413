package speaker

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/loglimit"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// TestPeerSettingsAreLoggedPerInstance checks that messages about one instance's settings do not suppress another's, and
// that their rate is limited.
func TestPeerSettingsAreLoggedPerInstance(t *testing.T) {
	g := newRig(t)
	var log bytes.Buffer
	g.logTo(textLog(&log, slog.LevelInfo))
	g.up("eth0", 2, "10.9.0.1/24")
	v, w := v3(100), v3(100)
	w.Name, w.VirtualRouterID, w.Addresses = "w", 52, []vrrp.Address{{Prefix: netip.MustParsePrefix("10.9.0.101/24")}}
	g.want(v, w)
	v.Checksum, w.Checksum = vrrp.ChecksumPacketOnly, vrrp.ChecksumPacketOnly
	for range 130 {
		g.hear(v, 100, "10.9.0.2")
		g.hear(w, 100, "10.9.0.2")
		g.advance(time.Second)
	}
	for _, name := range []string{"v", "w"} {
		if n := strings.Count(log.String(), `msg="packet dropped" reason=checksum-mode instance=`+name); n != 3 {
			t.Errorf("of %s it is said %d times in 130 s, want once a minute", name, n)
		}
	}
}

// timedLog is a log that records when its lines are written. A timer writes its last report.
type timedLog struct {
	mu    sync.Mutex
	lines lineTimes
}

func (l *timedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, time.Now())
	return len(line), nil
}

// soFar returns the times of the lines so far.
func (l *timedLog) soFar() lineTimes {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

type lineTimes []time.Time

// most returns the maximum number of lines within any second.
func (l lineTimes) most() int {
	most := 0
	for i, first := range l {
		n := 0
		for _, at := range l[i:] {
			if at.Sub(first) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// TestFloodsLeaveTheLogReadable checks that any flood of forged packets causes at most ten lines a second.
func TestFloodsLeaveTheLogReadable(t *testing.T) {
	lists := [][]vrrp.Address{
		{{Prefix: netip.MustParsePrefix("10.9.0.7/24")}},
		{{Prefix: netip.MustParsePrefix("10.9.0.8/24")}},
		{{Prefix: netip.MustParsePrefix("10.9.0.8/24")}, {Prefix: netip.MustParsePrefix("10.9.0.9/24")}},
	}
	source := func(i int) string { return netip.AddrFrom4([4]byte{10, 9, byte(i % 200), 2}).String() }
	for name, forge := range map[string]func(in *vrrp.Instance, i int) (priority uint8, from string){
		"alternating address lists": func(in *vrrp.Instance, i int) (uint8, string) {
			in.Addresses = lists[i%3]
			return 200, "10.9.0.2"
		},
		"many masters": func(_ *vrrp.Instance, i int) (uint8, string) { return 200, source(i) },
		"wrong in turn": func(in *vrrp.Instance, i int) (uint8, string) {
			if i%2 == 0 {
				in.Checksum = vrrp.ChecksumPacketOnly
			} else {
				in.Version, in.AdvertiseInterval = 2, time.Second
			}
			return 200, source(i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.now, g.quiet = time.Now(), true
				g.up("eth0", 2, "10.9.0.1/24")
				var instances []vrrp.Instance
				for i := range 50 {
					in := v3(100)
					in.Name, in.VirtualRouterID = string(rune('A'+i)), uint8(i+1)
					in.Addresses = []vrrp.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(i + 1)}), 24)}}
					instances = append(instances, in)
				}
				g.want(instances...)
				var written timedLog
				g.logTo(loglimit.New(textLog(&written, slog.LevelDebug)))
				for i := range 2_000 {
					for n := range 20 {
						in := instances[(i+n)%len(instances)]
						priority, from := forge(&in, i)
						g.hear(in, priority, from)
					}
					time.Sleep(4 * time.Millisecond)
					g.advance(4 * time.Millisecond)
				}
				// Each of the instances becomes master or backup once, and logs it.
				lines := written.soFar()
				if n := lines.most(); n > len(instances)+10 || len(lines) < 10 || len(lines) > len(instances)+10*8 {
					t.Errorf("%d lines, %d within a second", len(lines), n)
				}
				time.Sleep(time.Minute) // the last report
			})
		})
	}
}

// TestForgedMastershipsLeaveTheLogReadable checks that each instance's first state changes are logged, and then one in ten
// seconds.
func TestForgedMastershipsLeaveTheLogReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.now, g.quiet = time.Now(), true
		g.up("eth0", 2, "10.9.0.1/24")
		g.want(v3(100))
		var written timedLog
		g.logTo(loglimit.New(textLog(&written, slog.LevelInfo)))
		const seconds = 60
		for i := range 100 * seconds {
			g.hear(v3(100), []uint8{255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50, 101}[i/10%12], "10.9.0.2")
			time.Sleep(10 * time.Millisecond)
			g.advance(10 * time.Millisecond)
		}
		if n := g.status("v").Transitions; n < seconds/2 {
			t.Errorf("master %d times only", n)
		}
		lines := written.soFar()
		if first, all := lines[:min(len(lines), 8)], len(lines); first[7].Sub(first[0]) > 10*time.Second || all > 40 {
			t.Errorf("%d lines, the first eight within %s", all, first[7].Sub(first[0]))
		}
		time.Sleep(time.Minute) // the last report
	})
}

// TestAnythingForgedLeavesTheLogReadable checks that with any packets, each instance logs its first state changes, and that
// all other messages together are at most ten lines a second.
func TestAnythingForgedLeavesTheLogReadable(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			g := newRig(t)
			g.now, g.quiet = time.Now(), true
			g.up("eth0", 2, "10.9.0.1/24")
			instances := fullHouse(100, 100*time.Millisecond)[:20]
			g.want(instances...)
			var written timedLog
			g.logTo(loglimit.New(textLog(&written, slog.LevelDebug)))
			const seconds = 20
			for begun := time.Now(); time.Since(begun) < seconds*time.Second; {
				pause := time.Duration(r.IntN(1+r.IntN(200))) * time.Millisecond
				for range 1 + r.IntN(100) {
					in := instances[r.IntN(len(instances))]
					in.Addresses = instances[r.IntN(len(instances))].Addresses
					in.AdvertiseInterval = time.Duration(1+r.IntN(4095)) * 10 * time.Millisecond
					if r.IntN(4) == 0 {
						in.Checksum = vrrp.ChecksumPacketOnly
					}
					from := netip.AddrFrom4([4]byte{10, 9, 0, byte(r.IntN(256))}).String()
					g.hear(in, []uint8{0, 0, 1, 99, 100, 254, 255, uint8(r.IntN(256))}[r.IntN(8)], from)
				}
				time.Sleep(pause)
				g.advance(pause)
			}
			const own = 8 // of an instance's lines before they are limited
			lines := written.soFar()
			if n := lines.most(); n > own*len(instances)+10 || len(lines) > own*len(instances)+10*seconds {
				t.Errorf("seed %d: %d lines, %d within a second", seed, len(lines), n)
			}
			time.Sleep(time.Minute) // the last report
		})
	}
}
