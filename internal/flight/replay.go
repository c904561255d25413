package flight

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Replayed is a recorded transition, and what a machine did with the same inputs.
type Replayed struct {
	Time     time.Time    `json:"time"`
	Recorded vrrp.Changed `json:"recorded,omitzero"` // zero: there was none
	Replayed vrrp.Changed `json:"replayed,omitzero"` // zero: there was none
}

// Same reports whether both are equal.
func (r Replayed) Same() bool { return r.Recorded == r.Replayed }

// Replay passes the recorded inputs to a machine and returns the transitions. It begins with the first record that describes
// the whole machine.
func Replay(records []Record) []Replayed {
	p := player{zero: time.Unix(0, 0)}
	for i := 0; i < len(records); {
		n := i
		for n < len(records) && records[n].isRun() {
			n++
		}
		if n > i {
			p.runs(records[i:n])
			i = n
			continue
		}
		p.record(&records[i])
		i++
	}
	p.missing()
	return p.out
}

// isRun reports whether a record stands for several inputs of the machine.
func (r *Record) isRun() bool {
	return r.Kind == Received || r.Kind == Timeout || r.Kind == Dropped
}

// player replays a recording.
type player struct {
	zero    time.Time
	machine *vrrp.Machine
	pending []Replayed // replayed, but not yet found in the recording
	out     []Replayed
}

func (p *player) time(at time.Duration) time.Time { return p.zero.Add(at) }

func (p *player) step(ev vrrp.Event, at time.Duration, wall time.Time) {
	for _, a := range p.machine.Step(ev, p.time(at)) {
		if c, ok := a.(vrrp.Changed); ok {
			p.pending = append(p.pending, Replayed{Time: wall, Replayed: c})
		}
	}
}

// missing reports the transitions that the recording does not have.
func (p *player) missing() {
	p.out = append(p.out, p.pending...)
	p.pending = nil
}

// record replays a record that stands for one input, or compares a transition.
func (p *player) record(r *Record) {
	switch r.Kind {
	case Start:
		p.missing()
		if in, ok := r.Instance(); ok {
			p.machine = vrrp.NewMachine(in)
		}
		return
	case Snapshot:
		var s vrrp.Snapshot
		if r.Code == SnapshotAfterLoss {
			p.machine, p.pending = nil, nil
		}
		if p.machine == nil && json.Unmarshal([]byte(r.Text), &s) == nil {
			p.machine = vrrp.Restore(s, func(n int64) time.Time { return p.time(time.Duration(n)) })
		}
		return
	}
	if p.machine == nil {
		return
	}
	if r.Kind == Changed {
		done := Replayed{Time: r.Time, Recorded: vrrp.Changed{From: r.From, To: r.To, Reason: vrrp.Reason(r.Text)}}
		if len(p.pending) > 0 {
			done.Replayed = p.pending[0].Replayed
			p.pending = p.pending[1:]
		}
		p.out = append(p.out, done)
		return
	}
	if ev := r.event(p.time(r.At)); ev != nil {
		p.missing()
		p.step(ev, r.At, r.Time)
	}
}

// event returns the machine's input; nil if the record is none.
func (r *Record) event(now time.Time) vrrp.Event {
	switch r.Kind {
	case Configure:
		if in, ok := r.Instance(); ok {
			return vrrp.Configure{Instance: in}
		}
	case Tracks:
		if list, ok := r.Tracks(); ok {
			return vrrp.SetTracks{Tracks: list}
		}
	case Up:
		return vrrp.Up{Source: r.Source, HaveAddresses: r.Code&UpHaveAddresses != 0, Adopt: r.Code&UpAdopt != 0}
	case Down:
		return vrrp.Down{Reason: vrrp.Reason(r.Text)}
	case Resign:
		return vrrp.Resign{Reason: vrrp.Reason(r.Text)}
	case Promote:
		return vrrp.Promote{HandOver: r.Code != 0}
	case StepDown:
		return vrrp.StepDown{GiveUp: r.Code != 0}
	case Defer:
		return vrrp.Defer{Until: now.Add(r.Interval)}
	case Found:
		return vrrp.AddressesFound{}
	case Prepare:
		if r.Code == 0 {
			return vrrp.Prepare{}
		}
		return vrrp.Prepare{At: now.Add(r.Interval)}
	}
	return nil
}

// occurrence is one event of a run.
type occurrence struct {
	run   *Record
	index uint32
	at    time.Duration
}

// at returns an event of a run: the first and the last are known, those between are taken as evenly spaced.
func (r *Record) occurrence(index uint32) occurrence {
	at := r.At
	if index+1 < r.Count {
		at = r.First + time.Duration(int64(r.At-r.First)/int64(r.Count-1)*int64(index))
	}
	return occurrence{r, index, at}
}

// order returns the position of an event among those of the same time.
func (o occurrence) order() uint32 {
	if o.index+1 == o.run.Count {
		return o.run.Order[1]
	}
	return o.run.Order[0]
}

// before returns the last event of a run until a time.
func (r *Record) before(at time.Duration) (occurrence, bool) {
	switch {
	case at < r.First:
		return occurrence{}, false
	case at >= r.At:
		return r.occurrence(r.Count - 1), true
	}
	gap := (r.At - r.First) / time.Duration(max(r.Count-1, 1))
	if gap == 0 {
		return r.occurrence(0), true
	}
	return r.occurrence(uint32(min(int64((at-r.First)/gap), int64(r.Count-1)))), true
}

// runs replays runs that were open at the same time: the first and the last event of each, and before each of those the
// latest of the others, so that no input seems to have been missing for long.
func (p *player) runs(runs []Record) {
	p.missing()
	if p.machine == nil {
		return
	}
	var list []occurrence
	for i := range runs {
		r := &runs[i]
		if r.Kind == Dropped || r.Count == 0 {
			continue
		}
		list = append(list, r.occurrence(0), r.occurrence(r.Count-1))
	}
	for _, o := range slices.Clone(list) {
		for i := range runs {
			if r := &runs[i]; r.Kind != Dropped && r.Count > 0 && r != o.run {
				if b, ok := r.before(o.at); ok {
					list = append(list, b)
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b occurrence) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order(), b.order()), cmp.Compare(a.index, b.index))
	})
	list = slices.CompactFunc(list, func(a, b occurrence) bool { return a.run == b.run && a.index == b.index })
	for _, o := range list {
		p.step(o.event(p), o.at, o.run.Time)
	}
}

func (o occurrence) event(p *player) vrrp.Event {
	if o.run.Kind == Timeout {
		return vrrp.Timeout{}
	}
	delay := o.run.Delay
	if o.index == 0 {
		delay = o.run.Delayed
	}
	return vrrp.Received{Source: o.run.Source, Priority: o.run.Priority, Interval: o.run.Interval, At: p.time(o.at - delay)}
}
