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
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// failover is an operator's request to keep an instance away from this node. It survives a restart of the director, since an
// operator who has drained a node must be able to restart lvs-ha on it.
type failover struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero means until undone
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
			delete(d.failovers, in.Name)
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
			delete(d.failovers, name)
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

// Failover hands instances over to other routers and waits until those are master, or cancels that.
func (d *Director) Failover(ctx context.Context, request api.FailoverRequest) (api.Failover, error) {
	if request.Undo && request.For != 0 || request.For < 0 {
		return api.Failover{}, &api.Error{Status: http.StatusBadRequest, Err: errors.New(`"for" must be positive, and cannot be combined with "undo"`)}
	}
	var out api.Failover
	began := time.Now()
	err := d.do(ctx, func() error {
		names, err := d.matching(request.Instances)
		if err != nil {
			return err
		}
		if !d.linked {
			return &api.Error{Status: http.StatusServiceUnavailable, Err: errors.New("the speaker (VRRP process) is not connected; it is being restarted; try again")}
		}
		for _, name := range names {
			out.Instances = append(out.Instances, d.requestFailover(name, request, began))
		}
		d.saveFailovers()
		d.updateSpeaker()
		return nil
	})
	if err != nil || request.Undo {
		return out, err
	}
	return out, d.awaitFailover(ctx, out.Instances, began)
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
		delete(d.failovers, name)
		out.Outcome = api.FailoverUndone
		d.Logger.Info("failover undone", "instance", name)
	default:
		f := failover{Since: now}
		if request.For > 0 {
			f.Until = now.Add(time.Duration(request.For))
		}
		d.failovers[name], out.Until = f, f.Until
		if status.State != vrrp.Master && status.State != vrrp.Leaving {
			out.Outcome, out.MasterAddress = api.FailoverNoNeed, status.MasterAddress
		}
		d.Logger.Info("failover requested", "instance", name, "state", status.State, "ends", f.ends())
	}
	return out
}

// failoverPoll is how often the statuses are read while instances leave.
const failoverPoll = 5 * time.Millisecond

// awaitFailover waits until every instance has handed over, or no other router has taken over.
func (d *Director) awaitFailover(ctx context.Context, instances []api.FailoverOf, began time.Time) error {
	left := map[string]bool{} // observed leaving, so that its outcome belongs to this request even if the wall clock was set
	for {
		var statuses map[string]vrrp.Status
		var inForce map[string]failover
		if err := d.view(ctx, func() { statuses, inForce = maps.Clone(d.vrrp), maps.Clone(d.failovers) }); err != nil {
			return nil // reported as the outcome "waiting"
		}
		waiting := false
		var alone []string
		for i := range instances {
			f := &instances[i]
			if f.Outcome != api.FailoverWaiting {
				continue
			}
			s := statuses[f.Name]
			f.State, f.MasterAddress = s.State, s.MasterAddress
			left[f.Name] = left[f.Name] || s.State == vrrp.Leaving
			_, wanted := inForce[f.Name]
			switch {
			case s.State == vrrp.Backup && s.MasterAddress != "":
				f.Outcome, f.Took = api.FailoverDone, api.Duration(time.Since(began))
			case s.State == vrrp.Initialize:
				f.Outcome = api.FailoverNoNeed
			case s.State == vrrp.Master && s.Reason == string(vrrp.ReasonNobodyTookOver) && (left[f.Name] || s.Since.After(began)):
				f.Outcome, f.Took, f.Until = api.FailoverNobody, api.Duration(time.Since(began)), time.Time{}
				alone = append(alone, f.Name)
			case !wanted:
				f.Outcome, f.Until = api.FailoverEnded, time.Time{}
			default:
				waiting = true
			}
		}
		if len(alone) > 0 {
			if err := d.do(ctx, func() error { d.cancelFailovers(alone); return nil }); err != nil {
				return err
			}
		}
		if !waiting {
			return nil
		}
		select {
		case <-time.After(failoverPoll):
		case <-ctx.Done():
			return nil // reported as the outcome "waiting"
		}
	}
}

// cancelFailovers cancels failovers for which no router took over: a node without peers should not have the lowest priority.
func (d *Director) cancelFailovers(names []string) {
	for _, name := range names {
		if _, inForce := d.failovers[name]; !inForce {
			continue
		}
		d.Logger.Warn("failover cancelled: no other router took over", "instance", name)
		delete(d.failovers, name)
	}
	d.saveFailovers()
	d.updateSpeaker()
}
