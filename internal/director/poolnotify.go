package director

import (
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/notify"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// notified are the states of a service that were passed to its receivers.
type notified struct {
	quorum  healthcheck.State
	servers []healthcheck.State // in the order of the configuration
}

// notifyPool passes what has changed in a service to its receivers: its quorum, and the servers whose checks changed their state. It reads
// the clock once: without the kernel's vDSO that is a system call, and a thousand servers may fail at once.
func (d *Director) notifyPool(vs config.VirtualService, v pool.Verdict) {
	n := d.notified[vs.ServiceKey]
	if n == nil {
		n = &notified{servers: make([]healthcheck.State, len(v.Members))}
		d.notified[vs.ServiceKey] = n
	}
	now := time.Now()
	for i, m := range v.Members {
		if m.State == healthcheck.Unknown || m.State == n.servers[i] {
			continue
		}
		first, from := n.servers[i] == healthcheck.Unknown, n.servers[i]
		n.servers[i] = m.State
		if first && len(pool.ChecksOf(&vs, &vs.RealServers[i])) == 0 {
			continue // it has no other state
		}
		key, reason := m.Destination.DestinationKey, d.failureOf(vs, vs.RealServers[i])
		d.notifier.Pool(now, notify.PoolState{
			Service: vs.Name, Key: vs.ServiceKey, Server: &key, Up: m.State == healthcheck.Up, First: first, Assumed: vs.StartsUp(vs.RealServers[i]), Reason: reason,
		})
		d.events.Add(events.Event{
			Time: now, Kind: events.Server, Subject: subjectOf(vs.Name, key), From: from.String(), To: m.State.String(), Reason: reason,
		})
	}
	if q := v.Quorum; q.State != healthcheck.Unknown && q.State != n.quorum {
		first, from := n.quorum == healthcheck.Unknown, n.quorum
		n.quorum = q.State
		reason := fmt.Sprintf("quorum %d, at least %d needed", q.Live, q.Needed)
		d.notifier.Pool(now, notify.PoolState{Service: vs.Name, Key: vs.ServiceKey, Up: q.State == healthcheck.Up, First: first, Reason: reason})
		d.events.Add(events.Event{Time: now, Kind: events.Service, Subject: vs.Name, From: from.String(), To: q.State.String(), Reason: reason})
	}
}

// subjectOf returns a real server as the subject of an event.
func subjectOf(service string, key ipvs.DestinationKey) string { return service + "/" + key.String() }

// failureOf returns what a failing check of a server has found; empty if none fails.
func (d *Director) failureOf(vs config.VirtualService, rs config.RealServer) string {
	for t := range pool.Targets(&vs, &rs) {
		if h := d.checks.Of(t.Key()); h.State == healthcheck.Down && h.Detail != "" {
			return string(t.Spec.Kind()) + ": " + h.Detail
		}
	}
	return ""
}

// keepNotified carries the notified states over to a new configuration; old is the previous one or nil.
func (d *Director) keepNotified(old *config.Config) {
	before := map[pool.Server]healthcheck.State{}
	if old != nil {
		for _, vs := range old.Services {
			if n := d.notified[vs.ServiceKey]; n != nil {
				for i, rs := range vs.RealServers {
					before[pool.Server{Service: vs.ServiceKey, Destination: rs.DestinationKey}] = n.servers[i]
				}
			}
		}
	}
	now := map[ipvs.ServiceKey]*notified{}
	for _, vs := range d.cfg.Services {
		was := d.notified[vs.ServiceKey]
		if was == nil {
			continue
		}
		n := &notified{quorum: was.quorum, servers: make([]healthcheck.State, len(vs.RealServers))}
		for i, rs := range vs.RealServers {
			n.servers[i] = before[pool.Server{Service: vs.ServiceKey, Destination: rs.DestinationKey}]
		}
		now[vs.ServiceKey] = n
	}
	d.notified = now
}
