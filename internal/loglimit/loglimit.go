// Package loglimit limits log lines caused by packets, servers or clients. It limits them by cause and reports how many
// were suppressed.
package loglimit

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Lines with external causes (see Outside) are limited to outsidePerSecond in any second, and all others to allPerSecond
// after the reserve is used up; with the report of suppressed lines, that is less than ten lines a second. The reserve is
// for our own state: a failover of a thousand instances is logged line by line.
const (
	outsidePerSecond = 4
	outsideBurst     = 2 // per cause; then causePerSecond

	allReserve   = 4096
	allPerSecond = 5

	causeBurst     = 8 // lines with one message and subject
	causePerSecond = 0.1

	crowdBurst = 250 // lines with one message and level about real servers, of which there may be thousands; then allPerSecond

	reportAfter = 10 * time.Second
	forgetAfter = causeBurst / causePerSecond * time.Second
	causesKept  = 10_000
	namedMost   = 5 // causes in a report
)

// subjects are the attributes that distinguish causes with the same message. Their values are configured names, so an
// attacker cannot choose them.
var subjects = []string{"instance", "endpoint", "interface", "what"}

// crowds are the attributes of lines about real servers.
var crowds = []string{"endpoint", "step"}

// reasonKey also distinguishes causes of external lines: its values are the named reasons for dropped packets.
const reasonKey = "reason"

// Outside returns a logger for lines that packets, clients and other programs can cause at any rate. A logger without limits
// is returned unchanged.
func Outside(log *slog.Logger) *slog.Logger {
	h, ok := log.Handler().(*Handler)
	if !ok {
		return log
	}
	outside := *h
	outside.outside = true
	return slog.New(&outside)
}

// Handler is a slog.Handler that limits lines by cause.
type Handler struct {
	*limiter
	next    slog.Handler
	outside bool
	subject string
	grouped bool // attributes are in a group and so not subjects
}

// New returns a handler that passes lines within the limits to next.
func New(next slog.Handler) *Handler {
	return &Handler{limiter: &limiter{root: next, causes: map[cause]*bucket{}, crowds: map[crowd]*bucket{}}, next: next}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.subject = h.about(with.subject, a)
	}
	with.next = h.next.WithAttrs(attrs)
	return &with
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	with := *h
	with.next, with.grouped = h.next.WithGroup(name), true
	return &with
}

// about adds an attribute to the subject if it is part of the subject.
func (h *Handler) about(subject string, a slog.Attr) string {
	if h.grouped || !slices.Contains(subjects, a.Key) && !(h.outside && a.Key == reasonKey) {
		return subject
	}
	if subject == "" {
		return a.Value.String()
	}
	return subject + " " + a.Value.String()
}

// Handle implements slog.Handler. The clock is that of the records.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	subject, servers := h.subject, false
	r.Attrs(func(a slog.Attr) bool {
		subject = h.about(subject, a)
		servers = servers || !h.grouped && slices.Contains(crowds, a.Key)
		return true
	})
	var of *crowd
	if servers {
		of = &crowd{r.Message, r.Level}
	}
	leftOut, ok := h.admit(cause{r.Message, subject}, of, h.outside, r.Time)
	if !ok {
		return nil
	}
	if leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("left_out", leftOut))
	}
	return h.next.Handle(ctx, r)
}

// Flush reports suppressed lines that have not been reported yet. Call it at the end of the process.
func (h *Handler) Flush() { h.report() }

// cause is the unit to which limits apply.
type cause struct{ message, subject string }

// crowd is the unit to which the limit of lines about real servers applies: a thousand servers that come up at a start leave room for
// the warnings about those that fail.
type crowd struct {
	message string
	level   slog.Level
}

// limiter is the state shared by all handlers of one log.
type limiter struct {
	root slog.Handler

	mu      sync.Mutex
	causes  map[cause]*bucket
	swept   time.Time // when old causes were last removed
	all     bucket
	crowds  map[crowd]*bucket
	outside [outsidePerSecond]time.Time // times of the last external lines, a ring
	next    int
	waiting bool // a report is scheduled
}

// bucket is a token bucket: it allows a burst, then a rate per second.
type bucket struct {
	used    float64
	at      time.Time
	leftOut uint64
}

// room reports whether one more line is within the limit.
func (b *bucket) room(now time.Time, burst, perSecond float64) bool {
	b.used = max(0, b.used-now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	return b.used+1 <= burst
}

// admit reports whether a line may be written, and how many lines of the same cause were suppressed before it.
func (l *limiter) admit(c cause, of *crowd, outside bool, now time.Time) (leftOut uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucketOf(c, now)
	all := &bucket{}
	if of != nil {
		if all = l.crowds[*of]; all == nil {
			all = &bucket{at: now}
			l.crowds[*of] = all
		}
	}
	if outside {
		ok = b.room(now, outsideBurst, causePerSecond) && now.Sub(l.outside[l.next]) >= time.Second
	} else {
		// A line without a subject is one of many different ones, such as the steps of a start.
		ok = (c.subject == "" || b.room(now, causeBurst, causePerSecond)) && all.room(now, crowdBurst, allPerSecond) && l.all.room(now, allReserve, allPerSecond)
	}
	if !ok {
		b.leftOut++
		if !l.waiting {
			l.waiting = true
			time.AfterFunc(reportAfter, l.report)
		}
		return 0, false
	}
	b.used++
	all.used++
	if outside {
		l.outside[l.next] = now
		l.next = (l.next + 1) % len(l.outside)
	} else {
		l.all.used++
	}
	leftOut, b.leftOut = b.leftOut, 0
	return leftOut, true
}

// bucketOf returns the bucket of a cause. Old causes are removed; if all are in use, additional causes share one bucket.
func (l *limiter) bucketOf(c cause, now time.Time) *bucket {
	if b := l.causes[c]; b != nil {
		return b
	}
	if len(l.causes) >= causesKept && now.Sub(l.swept) >= forgetAfter {
		l.swept = now
		for c, b := range l.causes {
			if b.leftOut == 0 && now.Sub(b.at) > forgetAfter {
				delete(l.causes, c)
			}
		}
	}
	if len(l.causes) >= causesKept {
		c = cause{}
		if b := l.causes[c]; b != nil {
			return b
		}
	}
	b := &bucket{at: now}
	l.causes[c] = b
	return b
}

// report writes one line about everything that was suppressed since the last report.
func (l *limiter) report() {
	l.mu.Lock()
	l.waiting = false
	counts := map[string]uint64{}
	var total uint64
	for c, b := range l.causes {
		if b.leftOut > 0 {
			counts[c.message] += b.leftOut
			total += b.leftOut
			b.leftOut = 0
		}
	}
	l.mu.Unlock()
	if total == 0 {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines suppressed: too many of the same kind", 0)
	r.AddAttrs(slog.Uint64("lines", total), slog.String("most", most(counts)))
	_ = l.root.Handle(context.Background(), r) // there is nowhere else to report it
}

// most lists the most frequent messages.
func most(counts map[string]uint64) string {
	messages := make([]string, 0, len(counts))
	for m := range counts {
		messages = append(messages, m)
	}
	slices.SortFunc(messages, func(a, b string) int {
		if counts[a] != counts[b] {
			if counts[a] > counts[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	var out []string
	for _, m := range messages[:min(len(messages), namedMost)] {
		out = append(out, fmt.Sprintf("%d × %s", counts[m], cmp.Or(m, "from other causes")))
	}
	return strings.Join(out, "; ")
}
