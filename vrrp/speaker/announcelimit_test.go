package speaker

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// burstOf returns a burst of an instance; each target is "interface address".
func burstOf(h *holder, rounds int, targets ...string) burst {
	b := burst{holder: h, name: "v", rounds: rounds}
	for _, t := range targets {
		ifc, address, _ := strings.Cut(t, " ")
		a := netip.MustParseAddr(address)
		b.targets = append(b.targets, placed{ifc, netip.PrefixFrom(a, a.BitLen())})
	}
	return b
}

// told returns what was sent: the time and the address, with a ' for a reply.
func (f *fakeFramer) told() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, p := range f.sent {
		out = append(out, fmt.Sprintf("%s %s%s", p.at, p.address, map[bool]string{true: "'"}[p.reply]))
	}
	return strings.Join(out, ", ")
}

// TestAnnounceLimit checks when the packets are sent that interfaces with a limit share.
func TestAnnounceLimit(t *testing.T) {
	const ms = time.Millisecond
	h, other, virtual := &holder{key: keyA}, &holder{key: keyB}, &holder{key: keyA, vmac: "vrrp.51"}
	each := []vrrp.AnnounceLimit{{ARPInterval: 10 * ms, NAInterval: 30 * ms}}
	shared := []vrrp.AnnounceLimit{{Interfaces: []string{"eth0", "eth1"}, ARPInterval: 10 * ms}}
	for _, c := range []struct {
		name   string
		limits []vrrp.AnnounceLimit
		do     func(a *announcer)
		want   string
	}{
		{"requests first", each, func(a *announcer) { a.begins(burstOf(h, 1, "eth0 10.0.0.1", "eth0 10.0.0.2")) },
			"0s 10.0.0.1, 10ms 10.0.0.2, 20ms 10.0.0.1', 30ms 10.0.0.2'"},
		{"from the loop", each, func(a *announcer) {
			a.AnnounceNow(burstOf(h, 1, "eth0 10.0.0.1", "eth0 10.0.0.2"))
			a.Continue()
		}, "0s 10.0.0.1, 10ms 10.0.0.2, 20ms 10.0.0.1', 30ms 10.0.0.2'"},
		{"families apart", each, func(a *announcer) { a.begins(burstOf(h, 1, "eth0 fd00::1", "eth0 fd00::2", "eth0 10.0.0.1")) },
			"0s fd00::1, 30ms fd00::2, 30ms 10.0.0.1, 40ms 10.0.0.1'"},
		{"interfaces apart", each, func(a *announcer) {
			a.begins(burstOf(h, 1, "eth0 10.0.0.1"))
			time.Sleep(ms)
			a.begins(burstOf(other, 1, "eth1 10.0.0.2"))
		}, "0s 10.0.0.1, 1ms 10.0.0.2, 10ms 10.0.0.1', 11ms 10.0.0.2'"},
		{"interfaces together", shared, func(a *announcer) {
			a.begins(burstOf(h, 1, "eth0 10.0.0.1"), burstOf(other, 1, "eth1 10.0.0.2"))
		}, "0s 10.0.0.1, 10ms 10.0.0.2, 20ms 10.0.0.1', 30ms 10.0.0.2'"},
		{"instances take turns", each, func(a *announcer) {
			a.begins(burstOf(h, 1, "eth0 10.0.0.1", "eth0 10.0.0.2", "eth0 10.0.0.3"), burstOf(other, 1, "eth0 10.0.0.4"))
		}, "0s 10.0.0.1, 10ms 10.0.0.2, 20ms 10.0.0.4, 30ms 10.0.0.3, 40ms 10.0.0.4', 50ms 10.0.0.1', 60ms 10.0.0.2', 70ms 10.0.0.3'"},
		{"macvlan and the interface below together", each, func(a *announcer) {
			a.begins(burstOf(virtual, 1, "vrrp.51 10.0.0.1"), burstOf(other, 1, "eth0 10.0.0.2"))
		}, "0s 10.0.0.1, 10ms 10.0.0.2, 20ms 10.0.0.1', 30ms 10.0.0.2'"},
		{"other interfaces", []vrrp.AnnounceLimit{{Interfaces: []string{"eth1"}, ARPInterval: 10 * ms}}, func(a *announcer) { a.begins(burstOf(virtual, 1, "vrrp.51 10.0.0.1", "tun0 10.0.0.2")) },
			"0s 10.0.0.1, 0s 10.0.0.1'"},
		{"stopped", each, func(a *announcer) {
			a.begins(burstOf(h, 1, "eth0 10.0.0.1", "eth0 10.0.0.2", "eth0 10.0.0.3"), burstOf(other, 1, "eth0 10.0.0.4"))
			a.stop(h)
		}, "0s 10.0.0.1, 10ms 10.0.0.4, 20ms 10.0.0.4'"},
		{"a burst before the end of the last one", each, func(a *announcer) {
			for range 3 {
				a.begins(burstOf(h, 1, "eth0 10.0.0.1", "eth0 10.0.0.2"))
				time.Sleep(15 * ms)
			}
		}, "0s 10.0.0.1, 10ms 10.0.0.2, 20ms 10.0.0.1', 30ms 10.0.0.2', 100ms 10.0.0.1, 110ms 10.0.0.2, 120ms 10.0.0.1', 130ms 10.0.0.2'"},
		{"limit removed", each, func(a *announcer) {
			a.begins(burstOf(h, 1, "eth0 10.0.0.1", "eth0 10.0.0.2"))
			time.Sleep(15 * ms)
			a.setLimits(nil)
		}, "0s 10.0.0.1, 10ms 10.0.0.2, 15ms 10.0.0.1', 15ms 10.0.0.2'"},
		{"limit shortened", each, func(a *announcer) {
			a.begins(burstOf(h, 1, "eth0 fd00::1", "eth0 fd00::2", "eth0 fd00::3"))
			time.Sleep(5 * ms)
			a.setLimits([]vrrp.AnnounceLimit{{NAInterval: 20 * ms}})
		}, "0s fd00::1, 5ms fd00::2, 25ms fd00::3"},
		{"none", nil, func(a *announcer) { a.begins(burstOf(h, 1, "eth0 10.0.0.1", "eth0 fd00::1")) },
			"0s 10.0.0.1, 0s fd00::1, 0s 10.0.0.1'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, _ *bytes.Buffer) {
				a.setLimits(c.limits)
				synctest.Wait()
				c.do(a)
				time.Sleep(time.Second)
				if got := framer.told(); got != c.want {
					t.Errorf("sent %s\nwant %s", got, c.want)
				}
			})
		})
	}
}

// TestAnnounceLimitDoesNotBlock checks that a caller never waits for a limit, and that a burst of many instances is complete,
// each address in each round, and never faster than the limit.
func TestAnnounceLimitDoesNotBlock(t *testing.T) {
	const interval, instances, rounds = 10 * time.Millisecond, 200, 3
	withAnnouncer(t, func(t *testing.T, a *announcer, framer *fakeFramer, _ *bytes.Buffer) {
		a.setLimits([]vrrp.AnnounceLimit{{ARPInterval: interval}})
		began := time.Now()
		for i := range instances {
			a.begins(burstOf(&holder{key: keyA}, rounds, fmt.Sprintf("eth0 10.0.0.%d", i)))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the calls took %s", took)
		}
		time.Sleep(time.Minute)
		count := map[string]int{}
		var last time.Duration = -interval
		framer.mu.Lock()
		defer framer.mu.Unlock()
		for i, p := range framer.sent {
			if p.at-last < interval {
				t.Errorf("packet %d is sent %s after the one before", i, p.at-last)
			}
			last = p.at
			count[fmt.Sprint(p.address, p.reply)]++
		}
		if len(count) != 2*instances {
			t.Errorf("%d different packets", len(count))
		}
		for what, n := range count {
			if n != rounds {
				t.Errorf("%s: %d packets", what, n)
			}
		}
	})
}
