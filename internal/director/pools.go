package director

import (
	"context"
	"log/slog"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// inputs returns the inputs of verdicts, which share the director's maps.
func (d *Director) inputs() pool.Inputs {
	return pool.Inputs{Health: d.checks, Adopted: d.adopted, Memories: d.memories, Overrides: d.orders, Waiting: d.found.waiting, Suspended: d.suspended, Now: time.Now()}
}

// noteVerdict records a verdict that is about to be applied.
func (d *Director) noteVerdict(vs config.VirtualService, v pool.Verdict) {
	was := d.memories[vs.ServiceKey]
	d.memories[vs.ServiceKey] = v.Memory
	delete(d.changes, vs.ServiceKey)
	if !v.Changes.IsZero() {
		d.changes[vs.ServiceKey] = v.Changes
		d.poolsDue.Reset(0)
	}
	d.notifyPool(vs, v)
	if was.Quorum != v.Memory.Quorum {
		level := slog.LevelInfo
		if v.Memory.Quorum == healthcheck.Down {
			level = slog.LevelWarn
		}
		d.Logger.Log(context.Background(), level, "quorum changed", "service", vs.Name, "from", was.Quorum, "to", v.Memory.Quorum, "live", v.Quorum.Live, "needed", v.Quorum.Needed)
	}
}

// forgetServices drops what is remembered of services that are no longer in the configuration.
func (d *Director) forgetServices() {
	configured := map[ipvs.ServiceKey]bool{}
	for _, key := range d.configured() {
		configured[key] = true
	}
	for key := range d.memories {
		if !configured[key] {
			delete(d.memories, key)
			delete(d.changes, key)
		}
	}
}

// touchDuePools ends the overrides whose time is over, marks the services whose verdict has changed with time, and waits for the
// next one.
func (d *Director) touchDuePools(now time.Time) {
	next, ended := time.Time{}, false
	wait := func(at time.Time) (due bool) {
		if at.IsZero() {
			return false
		}
		if !now.Before(at) {
			return true
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
		return false
	}
	d.applyLists(now)
	if d.found.changed {
		wait(d.found.next)
	}
	if wait(d.found.due) {
		d.rediscover(now)
		wait(d.found.due)
	}
	for key, at := range d.changes {
		if wait(at) {
			d.touched.services([]ipvs.ServiceKey{key})
			delete(d.changes, key) // the next verdict sets it again
		}
	}
	for server, o := range d.overrides {
		if wait(o.Until) {
			d.Logger.Info("override ended", "service", d.serviceName(server.Service), "server", server.Destination, "by", "its time")
			d.events.Add(events.Event{
				Time: now, Kind: events.Override, Subject: subjectOf(d.serviceName(server.Service), server.Destination), To: "ended", Reason: "its time is over",
			})
			delete(d.overrides, server)
			ended = true
			d.touched.services([]ipvs.ServiceKey{server.Service})
		} else if wait(o.Deadline) {
			d.touched.services([]ipvs.ServiceKey{server.Service})
		}
	}
	if ended {
		d.overridesChanged()
		if d.reviewServiceTracks(now) {
			d.updateSpeaker()
		}
	}
	if !next.IsZero() {
		d.poolsDue.Reset(next.Sub(now))
	}
}

// serviceName returns the name of a configured service.
func (d *Director) serviceName(key ipvs.ServiceKey) string {
	for _, vs := range d.cfg.Services {
		if vs.ServiceKey == key {
			return vs.Name
		}
	}
	return key.String()
}
