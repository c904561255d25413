package speaker

import (
	"reflect"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// limited identifies the packets that a limit applies to.
type limited struct {
	Interface string
	family    vrrp.Family
}

// limit is a minimum time between two announcement packets of a family, on an interface or several that share it.
type limit struct {
	interval time.Duration
	free     time.Time // the next packet may be sent
	pace     pace
	delayed  []*running // each sends one packet in turn
}

// admit reports whether a burst may send a packet now. If not, the burst continues when it is its turn.
func (l *limit) admit(r *running, now time.Time) bool {
	if now.Before(l.free) {
		l.delayed = append(l.delayed, r)
		return false
	}
	l.sent(now) // about to be: no other one is admitted meanwhile
	return true
}

// sent records when a packet was sent.
func (l *limit) sent(now time.Time) { l.free = now.Add(l.interval) }

// pace limits the packets to paceFrames in each paceTime. Together with the work between them, packets of many routers are
// usually slower than that, so that there are few pauses.
type pace struct {
	began time.Time
	count int
}

// sent counts a packet, and returns how long to pause.
func (p *pace) sent(now time.Time) time.Duration {
	if now.Sub(p.began) >= paceTime {
		p.began, p.count = now, 0
	}
	p.count++
	if p.count < paceFrames {
		return 0
	}
	return p.began.Add(paceTime).Sub(now)
}

// setLimits replaces the limits.
func (a *announcer) setLimits(wanted []vrrp.AnnounceLimit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reflect.DeepEqual(a.wanted, wanted) {
		return
	}
	former := a.limits
	a.wanted, a.limits = wanted, map[limited]*limit{}
	for _, w := range wanted {
		arp, na := &limit{interval: w.ARPInterval}, &limit{interval: w.NAInterval}
		for _, name := range w.Interfaces {
			a.limits[limited{name, vrrp.IPv4}], a.limits[limited{name, vrrp.IPv6}] = arp, na
		}
	}
	for key, l := range former {
		now := a.limitFor(key)
		now.delayed = append(now.delayed, l.delayed...)
		l.delayed = nil // other interfaces may share it
	}
	a.wake.notify()
}

// limitOf returns the limit of a target. Those on a macvlan share that of the interface below.
func (a *announcer) limitOf(h *holder, t placed) *limit {
	key := limited{t.Interface, vrrp.IPv4}
	if t.Interface == h.vmac {
		key.Interface = h.key.Interface
	}
	if t.Prefix.Addr().Is6() {
		key.family = vrrp.IPv6
	}
	return a.limitFor(key)
}

// limitFor returns the limit of an interface and family. A limit without interfaces applies to each other interface.
func (a *announcer) limitFor(key limited) *limit {
	if l := a.limits[key]; l != nil {
		return l
	}
	l := &limit{}
	for _, w := range a.wanted {
		switch {
		case len(w.Interfaces) > 0:
		case key.family == vrrp.IPv6:
			l.interval = w.NAInterval
		default:
			l.interval = w.ARPInterval
		}
	}
	a.limits[key] = l
	return l
}

// delayed returns a burst that a limit has delayed and that may continue at now, or the time at which there will be one,
// zero for never.
func (a *announcer) delayed(now time.Time) (*running, time.Time) {
	var first time.Time
	for _, l := range a.limits {
		l.delayed = slices.DeleteFunc(l.delayed, func(r *running) bool { return a.running[r.holder] != r })
		switch {
		case len(l.delayed) == 0:
		case !l.free.After(now):
			r := l.delayed[0]
			l.delayed = slices.Delete(l.delayed, 0, 1)
			return r, time.Time{}
		case first.IsZero() || l.free.Before(first):
			first = l.free
		}
	}
	return nil, first
}
