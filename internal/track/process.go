package track

import (
	"context"
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
)

const (
	// processPoll is how often processes are counted while there are too few or could be too many. An exit is detected
	// immediately.
	processPoll = time.Second
	// processRecount is how often they are counted while there are enough. A count takes 10 µs of CPU time for each process of
	// the host. In between, only the counted processes are checked.
	processRecount = 10 * time.Second
	// processSpacing is the minimum time between two counts.
	processSpacing = 50 * time.Millisecond
)

// processWatch counts processes.
type processWatch struct {
	report func(Result)
	table  *processes

	pattern  processPattern
	presence presence
	counted  time.Time
	pids     []int // the counted processes
}

// watch counts until ctx ends.
func (p *processWatch) watch(ctx context.Context, parameters <-chan config.Track) {
	first := <-parameters
	p.change(*first.Process)
	exits := exits{changed: make(chan struct{}, 1)}
	defer exits.close()
	next := time.NewTimer(0)
	defer next.Stop()
	for changed := false; ; {
		select {
		case <-ctx.Done():
			return
		case t := <-parameters:
			p.change(*t.Process)
			next.Reset(0)
			continue
		case <-exits.changed:
			changed = true
			next.Reset(max(0, processSpacing-time.Since(p.counted)))
			continue
		case <-next.C:
		}
		next.Reset(min(processPoll, p.look(changed, time.Now())))
		if p.table.dir == procDir {
			exits.watch(p.pids)
		}
		changed = false
	}
}

func (p *processWatch) change(parameters config.TrackProcess) {
	p.presence.TrackProcess = parameters
	p.pattern = newProcessPattern(parameters.Process, parameters.Command)
	p.counted = time.Time{}
}

// look counts if that could change the state. It returns the time after which the state changes if the number stays.
func (p *processWatch) look(changed bool, now time.Time) (due time.Duration) {
	known := !changed && p.presence.steady() && len(p.pids) <= maxExits && now.Sub(p.counted) < processRecount
	if known && p.table.all(p.pids, p.pattern) {
		return processPoll
	}
	pids, err := p.table.matching(p.pattern, changed)
	if err != nil {
		return processPoll // /proc cannot be read
	}
	p.pids, p.counted = pids, now
	r, due := p.presence.note(len(pids), now)
	p.report(r)
	return due
}

// presence derives a state from numbers of processes.
type presence struct {
	config.TrackProcess
	result  Result
	differs time.Time // since when the number disagrees with the state; zero if it agrees
}

// steady reports whether additional processes would not change the state.
func (p *presence) steady() bool {
	return p.result.State == Good && p.differs.IsZero() && p.Maximum < 0
}

// note records a number of processes. due is the time after which the state changes if the number stays.
func (p *presence) note(count int, now time.Time) (r Result, due time.Duration) {
	state, delay := Good, p.DelayUp
	reason := fmt.Sprintf("%d processes", count)
	if count == 1 {
		reason = "1 process"
	}
	switch {
	case count < p.Minimum:
		state, delay = Bad, p.DelayDown
		reason += fmt.Sprintf(", at least %d required", p.Minimum)
	case p.Maximum >= 0 && count > p.Maximum:
		state, delay = Bad, p.DelayDown
		reason += fmt.Sprintf(", at most %d allowed", p.Maximum)
	}
	const never = time.Hour
	if state == p.result.State {
		p.differs = time.Time{}
		p.result.Reason = reason
		return p.result, never
	}
	if p.differs.IsZero() {
		p.differs = now
	}
	if left := p.differs.Add(delay).Sub(now); left > 0 && p.result.State != Unknown {
		r := p.result
		r.Reason = reason
		return r, left
	}
	p.differs = time.Time{}
	p.result = Result{State: state, Reason: reason, Since: now}
	return p.result, never
}
