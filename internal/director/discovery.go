package director

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/statefile"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Discoverer asks the sources of real servers, and reports to the director's inbox.
type Discoverer interface {
	Run(ctx context.Context)
	// Update replaces the sources, by their keys. Those that remain are not affected.
	Update(sources map[string]config.Source)
}

// sourceState is what is known of a source of real servers.
type sourceState struct {
	name     string
	list     pool.List // the last good one
	known    bool      // there is a list
	answered time.Time // when the source last gave one; zero if the list is from the kernel's table
	err      string    // why the source has failed since; empty if it has not
	failed   time.Time // when it began to fail
}

// discovered are the sources and what follows from them. A change replaces waiting and expansions, which readers share.
type discovered struct {
	sources    map[string]sourceState // by key: those of the configuration
	recalled   map[string]savedSource // by key: those of the last director
	waiting    map[ipvs.ServiceKey]bool
	expansions map[ipvs.ServiceKey]pool.Expansion
	due        time.Time     // when the next server that is no longer listed leaves; zero: none
	drain      time.Duration // the longest of the services
	changed    bool          // the lists have changed since they were applied
	next       time.Time     // they are not applied again before
	file       *keeper
	stored     bool // the file has had a list
}

// savedSource is the last good list of a source in its file.
type savedSource struct {
	Key      string    `json:"key"`
	Answered time.Time `json:"answered,omitzero"`
	List     pool.List `json:"list"`
}

// discoveryFormat is the format of the file with the last good lists.
var discoveryFormat = statefile.Format{Kind: "discovery", Version: 1, Limit: 64 << 20}

func discoveryFile(stateFile string) string {
	return filepath.Join(filepath.Dir(stateFile), "discovery.json")
}

// recallDiscovery reads the last good lists of the director before this one.
func (d *Director) recallDiscovery() {
	saved, err := recallBy[[]savedSource](discoveryFormat.ReadOrSetAside, discoveryFile(d.StateFile))
	if err != nil {
		d.Logger.Warn("state file ignored; real servers are not known before their sources answer", "error", err)
	}
	d.found.recalled, d.found.stored = savedByKey(saved), len(saved) > 0
}

func savedByKey(saved []savedSource) map[string]savedSource {
	byKey := make(map[string]savedSource, len(saved))
	for _, s := range saved {
		byKey[s.Key] = s
	}
	return byKey
}

// loadSources takes the sources of the configuration: known ones keep their state.
func (d *Director) loadSources() {
	wanted := d.declared.Sources()
	sources := make(map[string]sourceState, len(wanted))
	byName := map[string]sourceState{}
	for _, state := range d.found.sources {
		byName[state.name] = state
	}
	for key, s := range wanted {
		state, known := d.found.sources[key]
		if former := byName[s.String()]; !known && former.known { // with other parameters
			state, known = sourceState{list: former.list, known: true, answered: former.answered}, true
		}
		if saved, ok := d.found.recalled[key]; ok && !known {
			state = sourceState{list: saved.List, known: true, answered: saved.Answered}
		}
		state.name = s.String()
		sources[key] = state
	}
	d.found.sources, d.found.recalled = sources, nil
	d.saveLists()
	d.discoverer.Update(wanted)
	d.expand(time.Now())
}

// saveLists saves the last good lists.
func (d *Director) saveLists() {
	list := make([]savedSource, 0, len(d.found.sources))
	for key, s := range d.found.sources {
		if s.known {
			list = append(list, savedSource{key, s.answered, s.list})
		}
	}
	if d.found.stored = d.found.stored || len(list) > 0; d.found.stored {
		d.found.file.set(func() ([]byte, error) { return discoveryFormat.Encode(list) })
	}
}

func (d *Director) lists() pool.Lists {
	lists := make(pool.Lists, len(d.found.sources))
	for key, s := range d.found.sources {
		if s.known {
			lists[key] = s.list
		}
	}
	return lists
}

// expand sets the configuration in force: the loaded one with the discovered servers.
func (d *Director) expand(now time.Time) {
	cfg, expansions := pool.ExpandAll(d.declared, d.lists(), now)
	d.cfg, d.found.due, d.found.drain = cfg, time.Time{}, 0
	d.found.expansions, d.found.waiting = make(map[ipvs.ServiceKey]pool.Expansion, len(expansions)), map[ipvs.ServiceKey]bool{}
	for _, e := range expansions {
		vs := e.Service
		if len(vs.Discover) == 0 {
			continue
		}
		d.found.expansions[vs.ServiceKey] = e
		for _, one := range vs.Discover {
			d.found.drain = max(d.found.drain, one.Drain)
		}
		if !e.Changes.IsZero() && (d.found.due.IsZero() || e.Changes.Before(d.found.due)) {
			d.found.due = e.Changes
		}
		if slices.ContainsFunc(vs.Discover, func(one config.Discover) bool {
			s := d.found.sources[one.Key()]
			return !s.known && s.err == ""
		}) {
			d.found.waiting[vs.ServiceKey] = true
		}
	}
	if !d.found.due.IsZero() {
		d.poolsDue.Reset(0)
	}
}

// rediscover applies the lists of the sources to the services.
func (d *Director) rediscover(now time.Time) {
	old := d.cfg
	d.found.changed = false
	d.expand(now)
	d.setServers(old)
	for key := range d.found.expansions {
		d.touched.services([]ipvs.ServiceKey{key})
	}
	d.touched.sysctls = true
	if d.reviewServiceTracks(now) {
		d.updateSpeaker()
	}
}

// takeDiscovered records answers of sources, and applies them.
func (d *Director) takeDiscovered(reports map[string]discovery.Report) {
	changed, lists := false, false
	now := time.Now()
	for key, r := range reports {
		was, ok := d.found.sources[key]
		if !ok {
			continue // a late report of a removed source
		}
		s := d.noteReport(was, r, now)
		d.found.sources[key] = s
		lists = lists || s.known != was.known || !s.list.Equal(was.list)
		changed = changed || (s.known || s.err != "") != (was.known || was.err != "")
	}
	if lists {
		d.saveLists()
	}
	d.found.changed = d.found.changed || lists || changed
	d.applyLists(now)
}

// listsPart is which part of its time the director applies lists, at most. It takes 30 ms with 10,000 real servers.
const listsPart = 10

// applyLists applies lists that have changed, at once or when that is due.
func (d *Director) applyLists(now time.Time) {
	switch {
	case !d.found.changed:
	case now.Before(d.found.next):
		d.poolsDue.Reset(0)
	default:
		d.rediscover(now)
		d.found.next = now.Add(listsPart * time.Since(now))
	}
}

// noteReport returns a source's state after a report. A failure leaves the list as it is.
func (d *Director) noteReport(s sourceState, r discovery.Report, now time.Time) sourceState {
	if r.Err != nil {
		if text := r.Err.Error(); text != s.err {
			d.Logger.Warn("discovery failed", "source", s.name, "listed", s.list.Listed(), "error", text)
			d.events.Add(events.Event{Time: r.At, Kind: events.Discover, Subject: s.name, To: "failed", Reason: text})
			if s.err == "" {
				s.failed = r.At
			}
			s.err = text
		}
		return s
	}
	if s.err != "" {
		d.Logger.Info("discovery works again", "source", s.name, "after", r.At.Sub(s.failed).Round(time.Millisecond).String())
		d.events.Add(events.Event{Time: r.At, Kind: events.Discover, Subject: s.name, From: "failed", To: "ok"})
	}
	s.err, s.failed, s.answered = "", time.Time{}, r.At
	next := s.list.Next(r.Servers, now)
	if !s.known || !next.Equal(s.list) {
		added, removed := listChanges(s.list, next)
		d.Logger.Info("real servers discovered", "source", s.name, "listed", next.Listed(), "added", added, "removed", removed)
		d.events.Add(events.Event{
			Time: r.At, Kind: events.Discover, Subject: s.name, From: listedText(s.list), To: listedText(next), Reason: changesText(added, removed),
		})
	}
	s.list, s.known = d.pruned(next, now), true
	return s
}

func listedText(l pool.List) string { return fmt.Sprintf("%d listed", l.Listed()) }

func changesText(added, removed string) string {
	var parts []string
	if added != "" {
		parts = append(parts, "added "+added)
	}
	if removed != "" {
		parts = append(parts, "removed "+removed)
	}
	return strings.Join(parts, "; ")
}

// pruned drops the servers of a list that no service drains any more.
func (d *Director) pruned(l pool.List, now time.Time) pool.List {
	return slices.DeleteFunc(l, func(s pool.Listing) bool { return !s.Unlisted.IsZero() && !now.Before(s.Unlisted.Add(d.found.drain)) })
}

// maxNamed limits the servers named in a log line.
const maxNamed = 10

// listChanges names the servers that are listed in only one of two lists.
func listChanges(before, after pool.List) (added, removed string) {
	listed := func(l pool.List) map[string]bool {
		all := map[string]bool{}
		for _, s := range l {
			if s.Unlisted.IsZero() {
				all[s.String()] = true
			}
		}
		return all
	}
	missing := func(from, in map[string]bool) string {
		var names []string
		for name := range from {
			if !in[name] {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if len(names) > maxNamed {
			names = append(names[:maxNamed:maxNamed], "…")
		}
		return strings.Join(names, ", ")
	}
	a, b := listed(before), listed(after)
	return missing(b, a), missing(a, b)
}

// adoptDiscovered uses the servers found in the kernel for sources that have no list.
func (d *Director) adoptDiscovered(actual []ipvs.ServiceState) {
	found := pool.Found(d.declared.Services, d.lists(), actual)
	if len(found) == 0 {
		return
	}
	for key, list := range found {
		s := d.found.sources[key]
		s.list, s.known = list, true
		d.found.sources[key] = s
		d.Logger.Info("no answer yet; using the real servers found in the kernel", "source", s.name, "servers", len(list))
	}
	d.rediscover(time.Now())
}
