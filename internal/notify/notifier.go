package notify

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Progress is which events each receiver has, for the next process.
type Progress struct {
	Series    string            `json:"series"`
	Receivers map[string]uint64 `json:"receivers"` // the number of the last event, by name
}

// Options configure a Notifier.
type Options struct {
	Run    func(ctx context.Context, c script.Command) script.Result
	Check  func(script.Command) error // says why a command cannot be run here
	Save   func(Progress)             // keeps it for the next process; does not block. It may be called from any goroutine
	Former Progress                   // that the former process saved
	Logger *slog.Logger
}

// Notifier passes events on to receivers. Its methods are called from one goroutine and do not block, but for Stop.
type Notifier struct {
	Options
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	states map[subject]string // last notified
	seen   map[string]any     // configuration of each receiver
	groups []config.SyncGroup

	mu     sync.Mutex
	last   vrrp.Position
	queues map[string]*queue
}

// subject is an instance or a group.
type subject struct {
	group bool
	name  string
}

// compare puts groups behind instances.
func (s subject) compare(other subject) int {
	if s.group != other.group {
		if s.group {
			return 1
		}
		return -1
	}
	return strings.Compare(s.name, other.name)
}

// New returns a notifier without receivers.
func New(o Options) *Notifier {
	n := &Notifier{Options: o, states: map[subject]string{}, seen: map[string]any{}, queues: map[string]*queue{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Update has the receivers of a configuration. Those that are in it no more deliver what they have; the scripts of an
// instance that is removed wait for its last transition.
func (n *Notifier) Update(cfg *config.Config) {
	wanted := map[string]func() receiver{}
	settings := map[string]any{}
	add := func(name string, setting any, make func() receiver) {
		wanted[name], settings[name] = make, setting
	}
	for _, v := range cfg.VRRP {
		if v.Notify != nil {
			add("notify "+v.Name, *v.Notify, func() receiver { return &scripts{subject{false, v.Name}, *v.Notify, n.Run, n.Logger} })
		}
	}
	for _, g := range cfg.SyncGroups {
		if g.Notify != nil {
			add("notify group "+g.Name, *g.Notify, func() receiver { return &scripts{subject{true, g.Name}, *g.Notify, n.Run, n.Logger} })
		}
	}
	for _, f := range cfg.NotifyFIFOs {
		add("notify_fifo "+f.Path, f, func() receiver { return newFIFO(f) })
	}
	for _, w := range cfg.NotifyWebhooks {
		add("notify_webhook "+w.Name, w, func() receiver { return newWebhook(w, cfg.Node) })
	}
	for _, m := range cfg.NotifyEmails {
		add("notify_email "+m.Name, m, func() receiver { return newEmail(m, cfg.Node) })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, q := range n.queues {
		if wanted[name] != nil {
			continue
		}
		delete(n.seen, name)
		if s, ok := q.receiver.(*scripts); !ok || s.group || isOver(n.states[s.subject]) {
			n.remove(name, q)
		}
	}
	n.groups = cfg.SyncGroups
	for s, state := range n.states {
		if s.group && !slices.ContainsFunc(n.groups, func(g config.SyncGroup) bool { return g.Name == s.name }) {
			delete(n.states, s)
		}
		if !s.group && isOver(state) && !slices.ContainsFunc(cfg.VRRP, func(v config.VRRP) bool { return v.Name == s.name }) {
			delete(n.states, s)
		}
	}
	for name, make := range wanted {
		q := n.queues[name]
		switch {
		case q == nil:
			q = newQueue(name, make(), n.Logger, n.save)
			n.queues[name] = q
			n.work.Go(func() { q.run(n.ctx) })
		case !reflect.DeepEqual(n.seen[name], settings[name]):
			q.change(func() { q.receiver, q.stats.Error = make(), "" })
		}
		if s, ok := n.queues[name].receiver.(*scripts); ok && !reflect.DeepEqual(n.seen[name], settings[name]) {
			go n.check(n.queues[name], s) // not waited for: a file system may not answer
		}
		n.seen[name] = settings[name]
	}
}

// check has a script that cannot be run reported before it is needed.
func (n *Notifier) check(q *queue, s *scripts) {
	for _, c := range s.all() {
		if err := n.Check(c); err != nil {
			q.change(func() {
				if q.receiver == receiver(s) {
					q.stats.Error, q.stats.Since = fmt.Sprintf("%s: %v", c, err), time.Now()
				}
			})
			n.Logger.Warn("notify script cannot be run", "instance", s.name, "command", c.String(), "error", err)
		}
	}
}

// isOver reports whether an instance in this state has no more transitions once it is removed.
func isOver(state string) bool { return state == "" || state == stateFault || state == stateStop }

func (n *Notifier) remove(name string, q *queue) {
	delete(n.queues, name)
	delete(n.seen, name)
	q.change(func() { q.closed = true })
}

// Event takes the next event. One that the speaker had kept and a former process took is past: it is for those receivers
// that did not get it from that process.
func (n *Notifier) Event(e history.Event, past bool) {
	m, ok := messageOf(e)
	n.mu.Lock()
	n.last = e.Position()
	if ok {
		n.pass(m, past)
	}
	n.mu.Unlock()
	if !past {
		n.save()
	}
}

// pass puts a message that is news in the queues. The lock is held.
func (n *Notifier) pass(m Message, past bool) {
	s := subject{m.Group, m.Instance}
	if m.Lost == 0 {
		if n.states[s] == m.State {
			return // it was leaving, and stayed; or another speaker adopted it
		}
		n.states[s] = m.State
	}
	for name, q := range n.queues {
		had, known := n.Former.Receivers[name]
		if known && m.State != "" && m.To == "" {
			had = 0 // Stop made it: it has the number of the last event, which this receiver may have
		}
		if known && n.Former.Series == m.Series && m.Sequence <= had || !known && past {
			continue
		}
		q.put(m)
		if r, ok := q.receiver.(*scripts); ok && r.subject == s && n.seen[name] == nil {
			n.remove(name, q)
		}
	}
	if m.Lost == 0 && !m.Group {
		n.passGroup(m, past)
	}
	if m.Reason == vrrp.ReasonRemoved {
		delete(n.states, s)
	}
}

// passGroup follows the message of an instance with one of its sync group, if all members have the same state now. It comes
// after theirs, as keepalived's does.
func (n *Notifier) passGroup(m Message, past bool) {
	for _, g := range n.groups {
		if !slices.Contains(g.Instances, m.Instance) || slices.ContainsFunc(g.Instances, func(name string) bool { return n.states[subject{false, name}] != m.State }) {
			continue
		}
		m.Instance, m.Group, m.Priority = g.Name, true, 0
		n.pass(m, past)
		return
	}
}

func (n *Notifier) save() {
	n.mu.Lock()
	p := Progress{Series: n.last.Series, Receivers: make(map[string]uint64, len(n.queues))}
	for name, q := range n.queues {
		p.Receivers[name] = n.last.Sequence
		if before, waits := q.before(); waits && before.Series == n.last.Series {
			p.Receivers[name] = before.Sequence
		}
		if n.Former.Series == p.Series {
			p.Receivers[name] = max(p.Receivers[name], n.Former.Receivers[name]) // not all that the speaker has kept has come yet
		}
	}
	n.mu.Unlock()
	n.Save(p)
}

// Stop notifies of the end of the instances that have not ended themselves, and returns when everything is delivered, or at
// the deadline: what is left then is given up.
func (n *Notifier) Stop(deadline time.Time) {
	n.mu.Lock()
	for _, s := range slices.SortedFunc(maps.Keys(n.states), subject.compare) {
		t := vrrp.Transition{Series: n.last.Series, Sequence: n.last.Sequence, Time: time.Now(), Instance: s.name, Group: s.group, Reason: vrrp.ReasonResignStop}
		n.pass(Message{Transition: t, State: stateStop}, false)
	}
	for _, q := range n.queues {
		q.change(func() { q.closed, q.hurried = true, true })
	}
	n.mu.Unlock()
	late := time.AfterFunc(time.Until(deadline), n.cancel)
	n.work.Wait()
	if !late.Stop() {
		for _, q := range n.queues {
			if left := q.read().Waiting; left > 0 {
				n.Logger.Warn("notifications not delivered before the end", "receiver", q.name, "waiting", left)
			}
		}
	}
	n.cancel()
}

// Stats returns the counters of all receivers, by name.
func (n *Notifier) Stats() []Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []Stats
	for _, name := range slices.Sorted(maps.Keys(n.queues)) {
		list = append(list, n.queues[name].read())
	}
	return list
}
