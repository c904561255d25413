package speaker

import (
	"maps"
	"time"
)

// directorSilence is how long a connected director may be silent before it is treated as disconnected. It sends a sign of
// life every second.
const directorSilence = 5 * time.Second

// directorHeard records at now that the director gave a sign of life before, at.
func (e *engine) directorHeard(at, now time.Time) {
	if !e.stopping {
		e.timers.set(&e.directorSilent, at.Add(directorSilence))
	}
	if e.silent {
		e.log.Info("director is responding again")
		e.directorBack(now)
	}
}

// directorHangs starts the grace time for a director that is connected but silent, unless this process stalled too.
func (e *engine) directorHangs(now time.Time) {
	if now.Sub(e.directorSilent.at) > directorSilence/5 {
		e.timers.set(&e.directorSilent, now.Add(directorSilence))
		return
	}
	e.log.Warn("director unresponsive; all instances hand over if it does not respond within the grace time",
		"silent_for", directorSilence.String(), "director_grace", e.wanted.DirectorGrace.String())
	e.silent = true
	e.directorGone(now)
}

// directorGone starts the grace time, after which all routers hand over.
func (e *engine) directorGone(now time.Time) {
	e.timers.unset(&e.directorSilent)
	if e.directorLost.position != 0 || e.abandoned {
		return // its silence has already started the grace time
	}
	if e.wanted.DirectorGrace > 0 && !e.stopping {
		e.timers.set(&e.directorLost, now.Add(e.wanted.DirectorGrace))
	}
}

// handOverAll hands over because without a director, no process checks the real servers.
func (e *engine) handOverAll(now time.Time) {
	e.log.Error("no response from the director within the grace time; handing over", "director_grace", e.wanted.DirectorGrace.String())
	e.abandoned = true
	e.keep(nil) // the next speaker must not start another grace time
	e.updateEach(maps.Values(e.routers), now)
}

func (e *engine) directorBack(now time.Time) {
	e.silent = false
	e.timers.unset(&e.directorLost)
	if !e.abandoned {
		return
	}
	e.abandoned = false
	w := e.wanted
	e.keep(&w)
	e.updateEach(maps.Values(e.routers), now)
}
