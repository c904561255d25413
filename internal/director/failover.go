package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// failover is an operator's request to keep an instance away from this node. It survives a restart of the director, since an
// operator who has drained a node must be able to restart lvs-ha on it.
type failover struct {
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"`   // zero means until undone
	Handing bool      `json:"handing,omitzero"` // this node was master, and no other router has taken over yet
}

// ends describes when the instance may come back.
func (f failover) ends() string {
	if f.Until.IsZero() {
		return "lvs-ha failover --undo"
	}
	return f.Until.Local().Format(time.DateTime)
}

// failoversFormat is the format of the file with the active failovers, by instance.
var failoversFormat = statefile.Format{Kind: "failovers", Version: 1, Limit: 1 << 20}

func failoversFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "failovers.json")
}

// recallFailovers reads the failovers that were active when the last director ended.
func (d *Director) recallFailovers() {
	var err error
	if d.failovers, err = recallBy[map[string]failover](failoversFormat.ReadOrSetAside, failoversFile(d.StateFile)); err != nil {
		d.Logger.Warn("state file ignored; failovers that were in force have ended", "error", err)
	}
	if d.failovers == nil {
		d.failovers = map[string]failover{}
	}
	for _, name := range slices.Sorted(maps.Keys(d.failovers)) {
		f := d.failovers[name]
		if f.Handing {
			d.handOvers[name] = newHandOver(f.Since, vrrp.Master)
		}
		d.Logger.Info("failover in force", "instance", name, "since", f.Since, "ends", f.ends())
	}
}

// addFailovers adds tracks to the instances with active failovers. It drops expired failovers and those of removed instances.
func (d *Director) addFailovers(w *vrrp.Wanted, now time.Time) {
	dropped, names := false, map[string]bool{}
	next := time.Time{}
	for i := range w.Instances {
		in := &w.Instances[i]
		names[in.Name] = true
		f, ok := d.failovers[in.Name]
		switch {
		case !ok:
			continue
		case !f.Until.IsZero() && !f.Until.After(now):
			d.Logger.Info("failover ended", "instance", in.Name)
			d.events.Add(events.Event{Time: now, Kind: events.Failover, Subject: in.Name, To: "ended"})
			d.endFailover(in.Name, api.FailoverEnded)
			dropped = true
			continue
		}
		if !f.Until.IsZero() && (next.IsZero() || f.Until.Before(next)) {
			next = f.Until
		}
		in.Tracks = append(in.Tracks, vrrp.Track{
			Name: "failover", Kind: vrrp.TrackFailover, Effect: vrrp.EffectLastResort, Reason: "until " + f.ends(), Since: f.Since,
		})
	}
	for name := range d.failovers {
		if !names[name] {
			d.endFailover(name, api.FailoverEnded)
			dropped = true
		}
	}
	if dropped {
		d.saveFailovers()
	}
	if !next.IsZero() {
		d.failoverOver.Reset(next.Sub(now))
	}
}

func (d *Director) saveFailovers() {
	saved := maps.Clone(d.failovers)
	d.failoversFile.set(func() ([]byte, error) { return failoversFormat.Encode(saved) })
}

// endFailover removes a failover, with the outcome for a hand-over that is not complete.
func (d *Director) endFailover(name string, outcome api.FailoverOutcome) {
	delete(d.failovers, name)
	d.endHandOver(name, outcome)
}

// Failover hands instances over to other routers and waits until those are master. If none takes over, the failover is
// cancelled, whether the caller still waits or not.
func (d *Director) Failover(ctx context.Context, request api.FailoverRequest) (api.Failover, error) {
	if request.Undo && request.For != 0 || request.For < 0 {
		return api.Failover{}, &api.Error{Status: http.StatusBadRequest, Err: errors.New(`"for" must be positive, and cannot be combined with "undo"`)}
	}
	var out api.Failover
	var awaited []*handOver
	err := d.do(ctx, func() error {
		names, err := d.matching(request.Instances)
		if err != nil {
			return err
		}
		if !d.linked {
			return &api.Error{Status: http.StatusServiceUnavailable, Err: errors.New("the speaker (VRRP process) is not connected; it is being restarted; try again")}
		}
		for _, name := range names {
			out.Instances = append(out.Instances, d.requestFailover(name, request, time.Now()))
			awaited = append(awaited, d.handOvers[name]) // nil if there is nothing to wait for
		}
		d.saveFailovers()
		d.updateSpeaker()
		return nil
	})
	if err != nil {
		return out, err
	}
	for i, h := range awaited {
		if h != nil {
			d.awaitSuccessor(ctx, h, &out.Instances[i])
		}
	}
	return out, nil
}

// matching returns the names of the matching instances.
func (d *Director) matching(patterns []string) ([]string, error) {
	var all, names []string
	for _, v := range d.cfg.VRRP {
		all = append(all, v.Name)
	}
	if len(all) == 0 {
		return nil, &api.Error{Status: http.StatusNotFound, Err: errors.New("the configuration has no vrrp instance")}
	}
	if len(patterns) == 0 {
		return all, nil
	}
	for _, pattern := range patterns {
		found := false
		for _, name := range all {
			match, err := path.Match(pattern, name)
			if err != nil {
				return nil, &api.Error{Status: http.StatusBadRequest, Err: fmt.Errorf("%.200q is not a valid pattern: %w", pattern, err)}
			}
			group := d.cfg.GroupOf(name)
			if match || pattern == name || group != nil && pattern == group.Name {
				found = true
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		if !found {
			return nil, &api.Error{Status: http.StatusNotFound, Err: fmt.Errorf("no vrrp instance or sync group %.200q; the instances are: %s", pattern, listed(all))}
		}
	}
	return names, nil
}

// listed lists the first few names.
func listed(names []string) string {
	const most = 10
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}

func (d *Director) requestFailover(name string, request api.FailoverRequest, now time.Time) api.FailoverOf {
	status := d.vrrp[name]
	out := api.FailoverOf{Name: name, State: status.State, Outcome: api.FailoverWaiting}
	_, inForce := d.failovers[name]
	switch {
	case request.Undo && !inForce:
		out.Outcome = api.FailoverNone
	case request.Undo:
		d.endFailover(name, api.FailoverEnded)
		out.Outcome = api.FailoverUndone
		d.Logger.Info("failover undone", "instance", name)
		d.events.Add(events.Event{Time: now, Kind: events.Failover, Subject: name, To: "undone", By: request.By})
	default:
		f := failover{Since: now}
		if request.For > 0 {
			f.Until = now.Add(time.Duration(request.For))
		}
		if f.Handing = status.State == vrrp.Master || status.State == vrrp.Leaving; !f.Handing {
			d.endHandOver(name, api.FailoverNoNeed)
			out.Outcome, out.MasterAddress = api.FailoverNoNeed, status.MasterAddress
		} else if d.handOvers[name] == nil {
			d.handOvers[name] = newHandOver(now, status.State)
		}
		d.failovers[name], out.Until = f, f.Until
		d.events.Add(events.Event{Time: now, Kind: events.Failover, Subject: name, To: "requested", Reason: "until " + f.ends(), By: request.By})
		d.Logger.Info("failover requested", "instance", name, "state", status.State, "ends", f.ends())
	}
	return out
}
