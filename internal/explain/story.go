// Package explain tells from the recording of a virtual router why it changed its state: what it saw, which rule made the
// decision, and what it did. It is pure.
package explain

import (
	"fmt"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Code identifies a cause, or what was seen or done.
type Code string

// Fact is something that was seen or done.
type Fact struct {
	Code    Code      `json:"code"`
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds,omitempty"` // how long it took, or lasted
	Text    string    `json:"text"`
}

// Story explains one transition.
type Story struct {
	Instance string      `json:"instance"`
	Time     time.Time   `json:"time"`
	From     vrrp.State  `json:"from"`
	To       vrrp.State  `json:"to"`
	Reason   vrrp.Reason `json:"reason"` // the rule of the state machine
	Rule     string      `json:"rule"`   // the same as a sentence
	Cause    Code        `json:"cause"`
	Detail   string      `json:"detail,omitempty"` // of the cause: the drop reason, the name of a track
	Text     string      `json:"text"`
	Next     string      `json:"next,omitempty"` // what to do
	Priority uint8       `json:"priority"`       // effective
	Seen     []Fact      `json:"seen"`
	Done     []Fact      `json:"done"`
}

// Transitions returns the times of all recorded transitions of a virtual router.
func Transitions(r flight.Router) []time.Time {
	var out []time.Time
	for _, rec := range r.Records {
		if rec.Kind == flight.Changed {
			out = append(out, rec.Time)
		}
	}
	return out
}

// Latest explains the last transition until a time, of the virtual router with a name or, if that is empty, of all. It returns
// false if none is recorded.
func Latest(routers []flight.Router, name string, until time.Time) (best Story, of flight.Router, ok bool) {
	for _, r := range routers {
		if name != "" && r.Name != name {
			continue
		}
		if s, any := Tell(r, until); any && (!ok || s.Time.After(best.Time)) {
			best, of, ok = s, r, true
		}
	}
	return best, of, ok
}

// NotRecorded is the error that Latest finds no transition. If there are later ones, it says when the first of them was.
func NotRecorded(routers []flight.Router, name string, until time.Time) error {
	var first time.Time
	for _, r := range routers {
		if name != "" && r.Name != name {
			continue
		}
		if times := Transitions(r); len(times) > 0 && (first.IsZero() || times[0].Before(first)) {
			first = times[0]
		}
	}
	of := ""
	if name != "" {
		of = fmt.Sprintf(" of %.200q", name)
	}
	if first.IsZero() {
		return fmt.Errorf("no transition%s is recorded", of)
	}
	const layout = "2006-01-02 15:04:05"
	return fmt.Errorf("no transition%s is recorded until %s; the first one recorded was at %s", of, until.Format(layout), first.Local().Format(layout))
}

// Tell explains the last transition until a time. It returns false if none is recorded.
func Tell(r flight.Router, until time.Time) (Story, bool) {
	for i, rec := range slices.Backward(r.Records) {
		if rec.Kind == flight.Changed && !rec.Time.After(until) {
			return tell(r, i), true
		}
	}
	return Story{}, false
}

func tell(r flight.Router, i int) Story {
	c := r.Records[i]
	s := Story{
		Instance: r.Name, Time: c.Time, From: c.From, To: c.To, Reason: vrrp.Reason(c.Text), Rule: rules[vrrp.Reason(c.Text)], Priority: c.Own,
		Seen: []Fact{}, Done: []Fact{},
	}
	p := newPast(r.Records, i)
	cause := p.cause()
	if c.From == vrrp.Leaving && p.previous >= 0 && r.Records[p.previous].To == vrrp.Leaving {
		if s.To != vrrp.Master {
			root := newPast(r.Records, p.previous)
			cause = root.cause()
			s.Seen = append(s.Seen, root.seen()...)
		}
		s.Seen = append(s.Seen, Fact{Code: "leaving", Time: r.Records[p.previous].Time, Text: "sent priority 0 and kept serving until another router took over"})
	}
	s.Seen = append(s.Seen, p.seen()...)
	s.Cause, s.Detail = cause.code, cause.detail
	s.Text, s.Next = textOf(cause), nextOf(cause, s.To)
	s.Done = append(s.Done, p.done()...)
	return s
}

// past is what was recorded before a transition.
type past struct {
	records  []flight.Record
	change   *flight.Record
	index    int
	previous int // the transition before; -1: not recorded
	begin    int // the first record of the window: after the transition before
	trigger  *flight.Record

	instance vrrp.Instance // in force
	former   vrrp.Instance // before the window's last change of it
	changed  *flight.Record
	tracks   []vrrp.Track
	before   []vrrp.Track // before the window's last change of them
	tracked  *flight.Record
	started  int // the record with which the machine's process began; -1: not recorded
}

func newPast(records []flight.Record, index int) *past {
	p := &past{records: records, change: &records[index], index: index, previous: -1, started: -1}
	for i := range index {
		if records[i].Kind == flight.Changed {
			p.previous = i
		}
		if records[i].Kind == flight.Start {
			p.started = i
		}
	}
	p.begin = max(p.previous, p.started) + 1
	if index > 0 {
		p.trigger = &records[index-1]
	}
	if vrrp.Reason(p.change.Text) == vrrp.ReasonHigherPriority || vrrp.Reason(p.change.Text) == vrrp.ReasonEqualHigherAddress {
		p.trigger = p.lastAdvert() // its record may be older: equal adverts are one
	}
	for i := range index {
		rec := &records[i]
		if in, ok := rec.Instance(); ok {
			if i >= p.begin && rec.Kind == flight.Configure {
				p.former, p.changed = p.instance, rec
			}
			p.instance = in
		}
		if list, ok := rec.Tracks(); ok {
			if i >= p.begin && rec.Kind == flight.Tracks {
				p.before, p.tracked = p.tracks, rec
			}
			p.tracks = list
		} else if rec.Kind == flight.Start {
			p.tracks = nil
		}
	}
	return p
}

// window returns the records since the transition before.
func (p *past) window() []flight.Record { return p.records[p.begin:p.index] }

// since returns the records of this process.
func (p *past) process() []flight.Record { return p.records[max(p.started, 0):p.index] }

// interval returns the interval of the adverts that the router waits for or sends.
func (p *past) interval() time.Duration {
	if a := p.lastAdvert(); a != nil && p.change.From == vrrp.Backup {
		return a.Interval
	}
	return p.instance.AdvertiseInterval
}

// lastAdvert returns the last advert of a master in this process that the router has accepted; nil if there was none.
func (p *past) lastAdvert() *flight.Record {
	list := p.process()
	var last *flight.Record
	for i := range list {
		if r := &list[i]; r.Kind == flight.Received && r.Priority != vrrp.PriorityResign && (last == nil || r.At >= last.At) {
			last = r
		}
	}
	return last
}

// stall returns the record of an event that the process handled so late that it missed adverts; nil if there is none.
func (p *past) stall() *flight.Record {
	interval := p.interval()
	for i := range p.window() {
		r := &p.window()[i]
		if (r.Kind == flight.Timeout || r.Kind == flight.Received) && r.Late >= max(interval, 20*time.Millisecond) && p.change.At-r.At < 3*interval {
			return r
		}
	}
	return nil
}

// refused returns the packets refused since the last accepted advert, or in the last intervals, whichever is longer.
func (p *past) refused() *flight.Record {
	from := p.change.At - 4*p.interval()
	var last *flight.Record
	list := p.process()
	for i := range list {
		if r := &list[i]; r.Kind == flight.Dropped && r.At >= from && vrrp.DropReason(r.Code) != vrrp.DropOwnPacket && vrrp.DropReason(r.Code) < vrrp.DropReasons &&
			(last == nil || vrrp.DropReason(last.Code) == vrrp.DropVRIDUnknown) {
			last = r
		}
	}
	return last
}

// after returns the records that follow the transition, until the next one.
func (p *past) after() []flight.Record {
	rest := p.records[p.index+1:]
	for i, r := range rest {
		if r.Kind == flight.Changed || r.Kind == flight.Start {
			return rest[:i]
		}
	}
	return rest
}
