package speaker

import (
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// newsGap is the minimum time between two reports about a backup's master. Forged adverts can come from another master in
// each packet, and each report costs a log line and a message to the director.
const newsGap = time.Second

// masterNews is a pending report about a backup's master.
type masterNews struct {
	latest vrrp.MasterHeard
	missed uint64 // changes since the last report
	timer  timer  // set if there was a report within newsGap
}

// masterHeard reports a change of a backup's master: immediately, or combined with other changes within newsGap.
func (e *engine) masterHeard(r *router, m vrrp.MasterHeard, now time.Time) {
	r.news.latest = m
	if r.news.timer.position != 0 {
		r.news.missed++
		return
	}
	e.reportMaster(r, now)
}

// reportLatestMaster reports the latest of the changes since the last report.
func (e *engine) reportLatestMaster(r *router, now time.Time) {
	if r.news.missed > 0 && r.machine.State() == vrrp.Backup {
		e.reportMaster(r, now)
	}
	r.news.missed = 0
}

func (e *engine) reportMaster(r *router, now time.Time) {
	m := r.news.latest
	e.timers.set(&r.news.timer, now.Add(newsGap))
	e.note(r)
	log := e.outside.With("instance", r.instance.Name, "master", m.Address, "priority", m.Priority)
	if r.news.missed > 1 {
		log = log.With("changes", r.news.missed)
	}
	if m.Advertised > m.Interval {
		log.Warn("master heard, but its interval is too long to adopt in full: set the same interval on both routers, or raise adopt_interval_factor",
			"advertise_interval", m.Advertised.String(), "adopted", m.Interval.String())
		return
	}
	log.Info("master heard", "advertise_interval", m.Interval.String())
}
