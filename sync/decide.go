package connsync

import (
	"fmt"
	"net/netip"
)

// The kernel's defaults (net/netfilter/ipvs/ip_vs_sync.c).
var defaultGroup = netip.AddrFrom4([4]byte{224, 0, 0, 81})

const (
	defaultPort = 8848
	defaultTTL  = 1
)

// Step starts or stops a daemon.
type Step struct {
	Start  bool // false: stop
	Daemon Running
	Reason string
}

// String returns the step with its reason.
func (s Step) String() string {
	if s.Start {
		return fmt.Sprintf("start %s (%s)", s.Daemon, s.Reason)
	}
	return fmt.Sprintf("stop %s (%s)", s.Daemon, s.Reason)
}

// Wanted returns one daemon of each role, with the same configuration.
func Wanted(d Daemon, roles ...Role) []Running {
	list := make([]Running, 0, len(roles))
	for _, role := range roles {
		list = append(list, Running{Role: role, Daemon: d})
	}
	return list
}

// Decide returns the steps from the running daemons to the wanted ones. Stops come first, so that a new master does not
// receive its own messages; a running daemon with another configuration is stopped and started. Settings that a wanted
// daemon leaves to the kernel count as the kernel's defaults; MaxLen, whose default depends on the interface, then
// matches any value.
func Decide(wanted, actual []Running) []Step {
	var stops, starts []Step
	for _, a := range actual {
		w, ok := find(wanted, a.Role)
		switch {
		case !ok:
			stops = append(stops, Step{Daemon: a, Reason: "not wanted"})
		case !a.Daemon.satisfies(w.Daemon):
			stops = append(stops, Step{Daemon: a, Reason: "configured differently"})
			starts = append(starts, Step{Start: true, Daemon: w, Reason: "configured differently"})
		}
	}
	for _, w := range wanted {
		if _, ok := find(actual, w.Role); !ok {
			starts = append(starts, Step{Start: true, Daemon: w, Reason: "not running"})
		}
	}
	return append(stops, starts...)
}

func find(list []Running, role Role) (Running, bool) {
	for _, r := range list {
		if r.Role == role {
			return r, true
		}
	}
	return Running{}, false
}

// satisfies reports whether a running daemon has the wanted configuration.
func (d Daemon) satisfies(wanted Daemon) bool {
	d, wanted = d.withDefaults(), wanted.withDefaults()
	if wanted.MaxLen == 0 {
		d.MaxLen = 0
	}
	return d == wanted
}

func (d Daemon) withDefaults() Daemon {
	if d.Group = d.Group.Unmap(); !d.Group.IsValid() {
		d.Group = defaultGroup
	}
	if d.Port == 0 {
		d.Port = defaultPort
	}
	if d.TTL == 0 {
		d.TTL = defaultTTL
	}
	return d
}
