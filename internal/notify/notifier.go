package notify

import (
	"context"
	"crypto/rand"
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

// Progress is the last event delivered to each receiver. It is saved for the next process.
type Progress struct {
	Series    string            `json:"series"`
	Receivers map[string]uint64 `json:"receivers"` // the number of the last event, by receiver name
}

// Options configure a Notifier.
type Options struct {
	Run    func(ctx context.Context, c script.Command) script.Result
	Check  func(script.Command) error // returns why a command cannot be run here
	Save   func(Progress)             // saves it for the next process; must not block. It may be called from any goroutine
	Logger *slog.Logger

	Former  Progress  // saved by the previous process
	Started time.Time // when this process started
}

// Notifier passes events to receivers. Its methods must be called from one goroutine and do not block, except for Stop.
type Notifier struct {
	Options
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	states map[subject]string // last notified state
	seen   map[string]any     // configuration of each receiver
	groups []config.SyncGroup
	up     map[string]PoolState // of services and real servers with scripts, by name
	forAll []*queue             // receivers that are not scripts of one subject

	mu     sync.Mutex
	last   vrrp.Position
	queues map[string]*queue
}

// subject is an instance or a group.
type subject struct {
	group bool
	name  string
	pool  bool // a virtual service or real server
}

// compare orders groups after instances.
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
	n := &Notifier{Options: o, states: map[subject]string{}, up: map[string]PoolState{}, seen: map[string]any{}, queues: map[string]*queue{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Update applies the receivers of a configuration. Receivers that are no longer in it deliver their pending messages first;
// the scripts of a removed instance wait for its last transition.
func (n *Notifier) Update(cfg *config.Config) {
	wanted := map[string]func() receiver{}
	settings := map[string]any{}
	add := func(name string, setting any, make func() receiver) {
		wanted[name], settings[name] = make, setting
	}
	for _, v := range cfg.VRRP {
		if v.Notify != nil {
			add("notify "+v.Name, *v.Notify, func() receiver { return &scripts{subject{name: v.Name}, *v.Notify, n.Run, n.Logger} })
		}
	}
	for _, g := range cfg.SyncGroups {
		if g.Notify != nil {
			add("notify group "+g.Name, *g.Notify, func() receiver { return &scripts{subject{group: true, name: g.Name}, *g.Notify, n.Run, n.Logger} })
		}
	}
	n.addPools(cfg, add)
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
			go n.check(n.queues[name], s) // in the background, since a file system may hang
		}
		n.seen[name] = settings[name]
	}
	n.forAll = nil
	for _, q := range n.queues {
		if _, ok := q.receiver.(*scripts); !ok {
			n.forAll = append(n.forAll, q)
		}
	}
}

// check reports a script that cannot be run before it is needed.
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

// isOver reports whether a removed instance in this state will have no more transitions.
func isOver(state string) bool { return state == "" || state == stateFault || state == stateStop }

func (n *Notifier) remove(name string, q *queue) {
	delete(n.queues, name)
	delete(n.seen, name)
	q.change(func() { q.closed = true })
}

// Event processes the next event. past means that the speaker had kept the event and a previous process received it: it is
// delivered only to those receivers that did not get it from that process.
func (n *Notifier) Event(e history.Event, past bool) {
	m, ok := messageOf(e)
	n.mu.Lock()
	if e.Time.After(n.Started) {
		n.Former = Progress{} // no receiver can have it, and the replay is complete
	}
	n.last = e.Position()
	if ok {
		n.pass(m, past)
	}
	n.mu.Unlock()
	if !past {
		n.save()
	}
}

// pass queues a message if it is news. The caller holds the lock.
func (n *Notifier) pass(m Message, past bool) {
	s := m.subject()
	if m.Lost == 0 {
		if n.states[s] == m.State {
			return // it was leaving but stayed, or another speaker adopted it
		}
		n.states[s] = m.State
	}
	for name, q := range n.queues {
		had, known := n.Former.Receivers[name]
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

// passGroup follows an instance's message with one for its sync group if all members now have the same state. As in
// keepalived, the group's message comes after those of its members.
func (n *Notifier) passGroup(m Message, past bool) {
	for _, g := range n.groups {
		if !slices.Contains(g.Instances, m.Instance) || slices.ContainsFunc(g.Instances, func(name string) bool { return n.states[subject{name: name}] != m.State }) {
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
			p.Receivers[name] = max(p.Receivers[name], n.Former.Receivers[name]) // the speaker's replay may not be complete
		}
	}
	n.mu.Unlock()
	n.Save(p)
}

// Stop sends a notification for each instance that has not ended, and returns when everything is delivered or at the deadline,
// at which pending messages are dropped.
func (n *Notifier) Stop(deadline time.Time) {
	n.mu.Lock()
	series := rand.Text() // of its own: the speaker has not numbered them
	for i, s := range slices.SortedFunc(maps.Keys(n.states), subject.compare) {
		t := vrrp.Transition{Series: series, Sequence: uint64(i + 1), Time: time.Now(), Instance: s.name, Group: s.group, Reason: vrrp.ReasonResignStop}
		n.pass(Message{Transition: t, State: stateStop}, false)
	}
	n.stopPools()
	for _, q := range n.queues {
		q.change(func() { q.closed, q.hurried = true, true })
	}
	n.mu.Unlock()
	late := time.AfterFunc(time.Until(deadline), n.cancel)
	n.work.Wait()
	if !late.Stop() {
		for _, q := range n.queues {
			if left := q.read().Waiting; left > 0 {
				n.Logger.Warn("notifications not delivered before exit", "receiver", q.name, "waiting", left)
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
