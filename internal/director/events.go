package director

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/internal/notify"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// positionFormat is the format of the file with the last transition that was passed on. It is a separate file, since a state
// file with a large configuration would be rewritten for each transition. The numbers do not survive a reboot.
var positionFormat = statefile.Format{Kind: "transitions", Version: 1, Limit: 4096}

func positionFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "transitions.json")
}

// progressFormat is the format of the file with the progress of each receiver of notifications.
var progressFormat = statefile.Format{Kind: "notify", Version: 1, Limit: 1 << 20}

func notifyFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "notify.json")
}

// eventsFormat is the format of the file with the latest events, which readers see after a restart too.
var eventsFormat = statefile.Format{Kind: "events", Version: 1, Limit: 16 << 20}

func eventsFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "events.json")
}

// recallEvents continues the log of a previous process.
func (d *Director) recallEvents() {
	saved, err := recallBy[events.Saved](eventsFormat.ReadOrSetAside, eventsFile(d.StateFile))
	if err != nil {
		d.Logger.Warn("state file ignored; earlier events are lost", "error", err)
	}
	d.events.Continue(saved)
	if d.Restarted {
		d.events.Add(d.replacement())
	}
}

// replacement is the event of a director that replaces another.
func (d *Director) replacement() events.Event {
	if d.Upgrade != nil {
		// Until the supervisor has seen the new version work, its upgrade is under way. After that, only a fault replaces a director.
		if u := d.Upgrade(); u != nil && u.Step == upgradeStarting && u.To == d.Version {
			return events.Event{Time: time.Now(), Kind: events.Config, Subject: "lvs-ha", From: "version " + u.From, To: "version " + u.To, Reason: "upgrade"}
		}
	}
	return events.Event{
		Time: time.Now(), Kind: events.Problem, Subject: "director", From: "out of service", To: "in service", Reason: "the process was replaced; the log says why",
	}
}

const upgradeStarting = "starting" // the step of api.Upgrade

// saveEvents saves new events. That is done at most every second, since there may be thousands at once: with the first of them, and a
// second later.
func (d *Director) saveEvents() {
	if saved, any := d.events.Unsaved(); any {
		d.eventsSaved = time.Now()
		d.eventsFile.set(func() ([]byte, error) { return eventsFormat.Encode(saved) })
	}
}

// eventOf returns a transition as an event.
func eventOf(e history.Event) events.Event {
	if e.Lost > 0 {
		return events.Event{Time: e.Time, Kind: events.Lost, Subject: "vrrp", Reason: fmt.Sprintf("%d transitions were never received from the speaker", e.Lost)}
	}
	return events.Event{Time: e.Time, Kind: events.VRRP, Subject: e.Instance, From: string(e.From), To: string(e.To), Reason: string(e.Reason)}
}

// addConflicts adds an event for each conflict that has begun or ended.
func (d *Director) addConflicts(instance string, was, now []vrrp.Conflict) {
	without := func(list, others []vrrp.Conflict) []vrrp.Conflict {
		return slices.DeleteFunc(slices.Clone(list), func(c vrrp.Conflict) bool { return slices.ContainsFunc(others, c.Same) })
	}
	for _, c := range without(now, was) {
		d.events.Add(events.Event{Time: c.Since, Kind: events.Conflict, Subject: instance, To: "seen", Reason: api.Conflict(c).What()})
	}
	for _, c := range without(was, now) {
		d.events.Add(events.Event{Time: time.Now(), Kind: events.Conflict, Subject: instance, From: "seen", To: "over", Reason: api.Conflict(c).What()})
	}
}

// Events returns the log of events, which may be read at any time.
func (d *Director) Events() *events.Log { return d.events }

// recallProgress reads which transitions a previous process has passed on, and to which receivers.
func (d *Director) recallProgress() {
	warn := func(err error) {
		if err != nil {
			d.Logger.Warn("state file ignored; transitions may be notified again", "error", err)
		}
	}
	var err error
	d.passed, err = recallBy[vrrp.Position](positionFormat.ReadOrSetAside, positionFile(d.StateFile))
	warn(err)
	former, err := recallBy[notify.Progress](progressFormat.ReadOrSetAside, notifyFile(d.StateFile))
	warn(err)
	d.notifier = notify.New(notify.Options{
		Run: d.RunScript, Check: d.CheckScript, Former: former, Started: d.started, Logger: d.Logger,
		Save: func(p notify.Progress) {
			d.notifyFile.set(func() ([]byte, error) { return progressFormat.Encode(p) })
		},
	})
}

// record adds transitions to the history and passes them on.
func (d *Director) record(list []vrrp.Transition) {
	if len(list) == 0 {
		return
	}
	for _, e := range d.history.Add(list, d.passed) {
		past := e.Series == d.passed.Series && e.Sequence <= d.passed.Sequence // a previous process passed it on
		if past && e.Time.After(d.started) {
			d.Logger.Warn("state file ignored: its position is ahead of the speaker's", "path", positionFile(d.StateFile))
			past = false
		}
		d.notifier.Event(e, past)
		if past {
			continue
		}
		d.passed = e.Position()
		d.events.Add(eventOf(e))
		if e.Lost > 0 {
			d.Logger.Warn("transitions lost", "count", e.Lost)
		}
	}
	passed := d.passed
	d.positionFile.set(func() ([]byte, error) { return positionFormat.Encode(passed) })
}
