package director

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Tracker monitors scripts, files and processes, and reports to the director's inbox.
type Tracker interface {
	Run(ctx context.Context)
	// Update replaces the tracks. Those that did not change are not touched.
	Update(tracks []config.Track)
}

func tracksByName(cfg *config.Config) map[string]config.Track {
	byName := make(map[string]config.Track, len(cfg.Tracks))
	for _, t := range cfg.Tracks {
		byName[t.Name] = t
	}
	return byName
}

func kindOf(t config.Track) vrrp.TrackKind {
	switch {
	case t.Script != nil:
		return vrrp.TrackScript
	case t.File != nil:
		return vrrp.TrackFile
	case t.Process != nil:
		return vrrp.TrackProcess
	}
	return vrrp.TrackService
}

// trackOf returns the effect of a result on an instance that uses the track.
func trackOf(t config.Track, use config.TrackUse, r track.Result) vrrp.Track {
	out := vrrp.Track{Name: t.Name, Kind: kindOf(t), Reason: r.Reason, Since: r.Since}
	switch {
	case r.State == track.Unknown:
		out.Pending, out.Reason = true, "no result yet"
		switch {
		case t.Script != nil && t.Script.Init != "":
			out.Effect, out.Offset = vrrp.Weigh(t.Script.Init == "ok", use.Weight, use.Reverse)
		case t.File == nil && use.Weight == 0:
			out.Effect = vrrp.EffectFault
		}
	case t.File != nil:
		out.Effect, out.Offset = vrrp.WeighNumber(r.Number, use.Weight, use.Reverse)
	default:
		out.Effect, out.Offset = vrrp.Weigh(r.State == track.Good, use.Weight, use.Reverse)
		out.Failed = (r.State == track.Bad) != use.Reverse
	}
	return out
}

// loadTracks applies the tracks of the new configuration; old is the previous one or nil.
func (d *Director) loadTracks(old *config.Config) {
	known := map[string]track.Result{}
	if old != nil {
		kinds := tracksByName(old)
		for _, t := range d.cfg.Tracks {
			if r, ok := d.results[t.Name]; ok && kindOf(t) == kindOf(kinds[t.Name]) {
				known[t.Name] = r
			}
		}
	}
	d.results = known
	var watched []config.Track
	for _, t := range d.cfg.Tracks {
		if t.Service != nil {
			continue
		}
		if t.Script != nil && d.Restarted && old == nil {
			// The speaker has the last result, which applies until the first run.
			script := *t.Script
			script.Init = ""
			t.Script = &script
		}
		watched = append(watched, t)
	}
	d.tracker.Update(watched)
	d.reviewServiceTracks(time.Now())
}

// takeTracks records results of tracks. It reports whether the speaker must be updated.
func (d *Director) takeTracks(results map[string]track.Result) bool {
	changed := false
	byName := tracksByName(d.cfg)
	for name, r := range results {
		t, ok := byName[name]
		if !ok || t.Service != nil {
			continue // a late result of a removed track
		}
		changed = d.noteTrack(t, r) || changed
	}
	return changed
}

func (d *Director) noteTrack(t config.Track, r track.Result) bool {
	was := d.results[t.Name]
	if was == r {
		return false
	}
	d.results[t.Name] = r
	if was.State != r.State || was.Number != r.Number {
		level, state, former := slog.LevelInfo, string(r.State), string(was.State)
		switch {
		case t.File != nil:
			state, former = fmt.Sprint(r.Number), fmt.Sprint(was.Number)
		case r.State == track.Bad:
			level = slog.LevelWarn
		}
		d.events.Add(events.Event{Time: time.Now(), Kind: events.Track, Subject: t.Name, From: former, To: state, Reason: r.Reason})
		d.Logger.Log(context.Background(), level, "track changed", "track", t.Name, "kind", kindOf(t), "result", state, "reason", r.Reason)
	}
	return true
}

// reviewServiceTracks updates the tracks of virtual services. It reports whether the speaker must be updated.
func (d *Director) reviewServiceTracks(now time.Time) bool {
	changed := false
	for _, t := range d.cfg.Tracks {
		if t.Service == nil {
			continue
		}
		r := d.serviceResult(t.Service)
		r.Since = now
		if was := d.results[t.Name]; was.State == r.State {
			r.Since = was.Since
		}
		changed = d.noteTrack(t, r) || changed
	}
	return changed
}

// serviceResult counts the real servers that receive connections, or reports the quorum.
func (d *Director) serviceResult(t *config.TrackService) track.Result {
	in, unknown, all := 0, 0, 0
	waiting := false // its servers are not known yet
	var quorum pool.Quorum
	for _, vs := range d.cfg.Services {
		if vs.Name != t.Service {
			continue
		}
		verdict := pool.Decide(&vs, d.inputs())
		waiting = d.found.waiting[vs.ServiceKey]
		quorum = verdict.Quorum
		for _, m := range verdict.Members {
			if m.Sorry {
				continue
			}
			all++
			switch {
			case m.InTable && m.Destination.Weight > 0 && m.State != healthcheck.Down:
				in++
			case m.State == healthcheck.Unknown:
				unknown++
			}
		}
	}
	r := track.Result{State: track.Good, Reason: fmt.Sprintf("%d of %d real servers in use", in, all)}
	if t.Minimum == 0 {
		r.State = stateOfQuorum(quorum.State)
		if r.State == track.Bad {
			r.Reason += fmt.Sprintf("; quorum lost: %d of %d needed", quorum.Live, quorum.Needed)
		}
		return r
	}
	switch {
	case in >= t.Minimum:
	case in+unknown >= t.Minimum, waiting:
		r.State = track.Unknown
	default:
		r.State = track.Bad
		r.Reason += fmt.Sprintf(", at least %d required", t.Minimum)
	}
	return r
}

func stateOfQuorum(s healthcheck.State) track.State {
	switch s {
	case healthcheck.Up:
		return track.Good
	case healthcheck.Down:
		return track.Bad
	}
	return track.Unknown
}

// unfit returns why this node should not be master if another can be: it cannot program the kernel's table. If that worked
// before, the grace time of a lost director applies; otherwise none.
func (d *Director) unfit(now time.Time) string {
	if len(d.cfg.Services) == 0 {
		return ""
	}
	for _, p := range d.problems.open {
		if p.What == partTable && (!d.programmed && !d.Restarted || now.Sub(p.Since) >= d.cfg.Director.Grace) {
			return p.Text
		}
	}
	return ""
}

// reviewFitness updates the speaker when the node has become unfit or fit again.
func (d *Director) reviewFitness(now time.Time) {
	if why := d.unfit(now); why != d.unfitness {
		d.unfitness = why
		d.updateSpeaker()
	}
}

// addFitness adds the track of an unfit node to all instances.
func (d *Director) addFitness(w *vrrp.Wanted) {
	if d.unfitness == "" {
		return
	}
	for i := range w.Instances {
		w.Instances[i].Tracks = append(w.Instances[i].Tracks, vrrp.Track{
			Name: "table", Kind: vrrp.TrackTable, Effect: vrrp.EffectLastResort, Reason: d.unfitness,
		})
	}
}
