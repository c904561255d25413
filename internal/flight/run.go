package flight

import (
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// run stands for equal events in a row, which cost a few stores each. Its record is written when something else happens. A
// process that is killed leaves the open runs in the file.
type run struct {
	count          uint32 // 0: not in use
	kind, from     uint8
	priority, own  uint8
	code           uint8
	_              [7]byte
	source         [16]byte
	first, last    int64
	interval, late int64
	delay          int64     // late, of the last
	delayed        int64     // late, of the first
	order          [2]uint32 // of the first and the last
}

func (r *run) same(o *run) bool {
	return r.kind == o.kind && r.code == o.code && r.priority == o.priority && r.from == o.from && r.interval == o.interval &&
		(r.source == o.source || Kind(r.kind) == Dropped)
}

// join adds an event to the open run of its kind, or begins one. An event that comes late, or after a gap, begins another
// run, so that the gap is visible.
func (l *Log) join(ev run, expected time.Duration, now time.Time) {
	runs := &l.head.runs
	l.order++
	oldest := &runs[0]
	for i := range runs {
		r := &runs[i]
		if r.count == 0 {
			if oldest.count != 0 {
				oldest = r
			}
			continue
		}
		if r.same(&ev) {
			gap := expected > 0 && (ev.last-r.last > int64(expected+expected/2) || ev.late > int64(expected/2))
			if !gap && r.count < 1<<31 {
				r.last, r.source, r.own = ev.last, ev.source, ev.own
				r.late, r.delay = max(r.late, ev.late), ev.late
				r.order[1] = l.order
				r.count++
				return
			}
			oldest = r
			break
		}
		if oldest.count != 0 && r.last < oldest.last {
			oldest = r
		}
	}
	if l.since > ringSize/2 {
		l.settle(now)
	}
	l.close(oldest, now)
	ev.first, ev.delay, ev.delayed, ev.count = ev.last, ev.late, ev.late, 0
	ev.order = [2]uint32{l.order, l.order}
	*oldest = ev
	atomic.StoreUint32(&oldest.count, 1)
}

// close writes the record of a run.
func (l *Log) close(r *run, now time.Time) {
	if r.count == 0 {
		return
	}
	l.recorder.head.offset = now.UnixNano() - int64(l.at(now))
	rec := r.record()
	l.write(&rec, r.last+l.recorder.head.offset)
	atomic.StoreUint32(&r.count, 0)
}

func (r *run) record() Record {
	return Record{
		Kind: Kind(r.kind), At: time.Duration(r.last), First: time.Duration(r.first), Count: r.count, Late: time.Duration(r.late), Delay: time.Duration(r.delay), Delayed: time.Duration(r.delayed), Order: r.order, Own: r.own,
		Source: unpacked(r.source), Interval: time.Duration(r.interval), Priority: r.priority, From: stateOf(r.from), Code: r.code,
	}
}

// flush writes the records of all runs, in the order of their last events.
func (l *Log) flush(now time.Time) {
	for {
		var first *run
		for i := range l.head.runs {
			if r := &l.head.runs[i]; r.count > 0 && (first == nil || r.last < first.last) {
				first = r
			}
		}
		if first == nil {
			return
		}
		l.close(first, now)
	}
}

// Event records an input of the machine, before it is passed to Step.
func (l *Log) Event(ev vrrp.Event, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if !l.complete(now) && !l.resume(now) {
		return
	}
	state := stateNumber(l.machine.State())
	switch ev := ev.(type) {
	case vrrp.Timeout:
		due, _ := l.machine.Deadline()
		l.join(run{
			kind: uint8(Timeout), from: state, own: l.machine.Priority(), last: int64(l.at(now)), late: max(int64(now.Sub(due)), 0),
		}, l.interval, now)
	case vrrp.Received:
		at := ev.At
		if at.IsZero() || at.After(now) {
			at = now
		}
		l.join(run{
			kind: uint8(Received), from: state, own: l.machine.Priority(), last: int64(l.at(now)), late: int64(now.Sub(at)),
			source: packed(ev.Source.WithZone("")), priority: ev.Priority, interval: int64(ev.Interval),
		}, ev.Interval, now)
	default:
		l.settle(now)
		l.other(ev, now)
	}
}

// other records an event that is not part of a run.
func (l *Log) other(ev vrrp.Event, now time.Time) {
	rec := Record{From: l.machine.State()}
	switch ev := ev.(type) {
	case vrrp.Configure:
		l.interval = ev.Instance.AdvertiseInterval
		rec.Kind, rec.Text = Configure, encode(settings(ev.Instance))
	case vrrp.SetTracks:
		rec.Kind, rec.Text = Tracks, encode(brief(ev.Tracks))
	case vrrp.Up:
		rec.Kind, rec.Source, rec.Code = Up, ev.Source.WithZone(""), flag(ev.HaveAddresses, UpHaveAddresses)|flag(ev.Adopt, UpAdopt)
	case vrrp.Down:
		rec.Kind, rec.Text = Down, string(ev.Reason)
	case vrrp.Resign:
		rec.Kind, rec.Text = Resign, string(ev.Reason)
	case vrrp.Promote:
		rec.Kind, rec.Code = Promote, flag(ev.HandOver, 1)
	case vrrp.StepDown:
		rec.Kind, rec.Code = StepDown, flag(ev.GiveUp, 1)
	case vrrp.Defer:
		rec.Kind, rec.Interval = Defer, ev.Until.Sub(now)
	case vrrp.AddressesFound:
		rec.Kind = Found
	case vrrp.Prepare:
		rec.Kind = Prepare
		if !ev.At.IsZero() {
			rec.Code, rec.Interval = 1, ev.At.Sub(now)
		}
	default:
		return
	}
	l.add(rec, now)
}

func flag(set bool, value uint8) uint8 {
	if set {
		return value
	}
	return 0
}

// Start records that the machine is new.
func (l *Log) Start(in *vrrp.Instance, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	l.interval, l.since = in.AdvertiseInterval, 0
	if !l.complete(now) {
		return
	}
	l.flush(now) // those of a process that was killed
	l.add(Record{Kind: Start, Text: encode(settings(*in))}, now)
}

// Changed records a transition, after Step.
func (l *Log) Changed(c vrrp.Changed, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if !l.complete(now) {
		return
	}
	l.flush(now)
	l.add(Record{Kind: Changed, From: c.From, To: c.To, Text: string(c.Reason)}, now)
}

// Addresses records that a task of the kernel is complete: its steps, the number of addresses, what the kernel refused, and how
// long it took.
func (l *Log) Addresses(steps uint8, count int, refused string, took time.Duration, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if !l.complete(now) {
		return
	}
	l.settle(now)
	l.add(Record{Kind: Addresses, Code: steps, Count: uint32(count), Text: refused, Interval: took}, now)
}

// Dropped records a packet that was refused.
func (l *Log) Dropped(reason vrrp.DropReason, from netip.Addr, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if !l.complete(now) {
		return
	}
	l.join(run{
		kind: uint8(Dropped), from: stateNumber(l.machine.State()), code: uint8(reason), source: packed(from.WithZone("")), last: int64(l.at(now)),
	}, 0, now)
}

// Conflict records the first evidence of a conflict.
func (l *Log) Conflict(c vrrp.Conflict, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if !l.complete(now) {
		return
	}
	l.settle(now)
	l.add(Record{Kind: Conflicts, Source: c.Router.WithZone(""), Priority: c.Priority, Text: encode(c)}, now)
}

// SendFailed records that an advert could not be sent.
func (l *Log) SendFailed(problem string, now time.Time) {
	if l == nil {
		return
	}
	defer l.guard(debug.SetPanicOnFault(true), now)
	if !l.complete(now) {
		return
	}
	l.settle(now)
	l.add(Record{Kind: SendFailed, Text: problem}, now)
}
