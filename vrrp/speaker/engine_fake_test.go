package speaker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/loglimit"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// rig is an engine with fakes and a clock that only the test advances.
type rig struct {
	t      testing.TB
	now    time.Time
	engine *engine
	posts  []func(time.Time)

	refuse     error // error of the next Open
	opened     []netInterface
	closed     int
	sends      int                  // calls of Send
	unsendable func(*outgoing) bool // nil if all messages can be sent
	holding    bool                 // tasks wait until finish is called
	tasks      []task
	refuses    map[placed]string // addresses that the kernel refuses
	told       bool              // it has reported a refusal
	direct     int               // addresses announced by the loop
	watched    map[routerKey][]placed
	limits     []vrrp.AnnounceLimit
	macvlan    int // index of prepared macvlans
	noMacvlan  error

	quiet bool     // disables the trace
	trace []string // the engine's actions, in order
}

func newRig(t testing.TB) *rig {
	g := &rig{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	g.engine = newEngine(slog.New(slog.DiscardHandler), g, g, func(f func(time.Time)) { g.posts = append(g.posts, f) })
	g.engine.tenures = &tenures{
		records: make([]tenureRecord, 8), now: func() int64 { return g.now.UnixNano() },
	}
	return g
}

// logTo makes the engine log to a handler.
func (g *rig) logTo(h slog.Handler) {
	g.engine.log = slog.New(h)
	g.engine.outside = loglimit.Outside(g.engine.log)
}

// textLog returns a handler that writes lines without rate limits.
func textLog(w io.Writer, level slog.Level) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

func (g *rig) note(format string, args ...any) {
	if !g.quiet {
		g.trace = append(g.trace, fmt.Sprintf(format, args...))
	}
}

// did returns the actions since the last call.
func (g *rig) did() string {
	s := strings.Join(g.trace, ", ")
	g.trace = nil
	return s
}

// Open implements sockets.
func (g *rig) Open(ifc netInterface, key socketKey, opened func(*socket, error, time.Time)) {
	g.opened = append(g.opened, ifc)
	err := g.refuse
	g.posts = append(g.posts, func(now time.Time) {
		if err != nil {
			opened(nil, err, now)
			return
		}
		opened(&socket{key: key, index: ifc.Index, fd: -1}, nil, now)
	})
}

// Close implements sockets.
func (g *rig) Close(*socket) { g.closed++ }

// Send implements sockets.
func (g *rig) Send(s *socket, messages []*outgoing) (int, error) {
	g.sends++
	through := ""
	if s.key.Frames {
		through = " from the virtual MAC"
	}
	for i, o := range messages {
		if g.unsendable != nil && g.unsendable(o) {
			return i, errRefused
		}
		if !g.quiet {
			g.note("advert %d%s", o.data[2], through)
		}
	}
	return len(messages), nil
}

func (g *rig) submit(t task) {
	g.tasks = append(g.tasks, t)
	if !g.holding {
		g.finish()
	}
}

func (g *rig) announce(_ task, addresses []vrrp.Address) {
	g.note("announce")
	g.direct += len(addresses)
}

func (g *rig) announceOn() {}

func (g *rig) repeat(*holder)  { g.note("repeat") }
func (g *rig) silence(*holder) { g.note("silence") }

func (g *rig) limit(limits []vrrp.AnnounceLimit) { g.limits = limits }

func (g *rig) watch(key routerKey, addresses []placed) {
	if g.watched == nil {
		g.watched = map[routerKey][]placed{}
	}
	g.watched[key] = addresses
}

// finish completes the tasks that were submitted.
func (g *rig) finish() {
	for _, t := range g.tasks {
		if !t.claim.take() {
			continue
		}
		switch {
		case t.prepare != nil:
			g.note("prepare %s", t.prepare.name)
			t.prepared(g.macvlan, g.noMacvlan)
		case t.discard != "":
			g.note("discard %s", t.discard)
		}
		g.judge(t)
		for _, a := range t.actions {
			switch a.(type) {
			case vrrp.AddAddresses:
				g.note("add")
			case vrrp.RemoveAddresses:
				g.note("remove")
			case vrrp.SendAnnouncements:
				g.note("announce")
			}
		}
		g.posts = append(g.posts, func(time.Time) { t.done() })
	}
	g.tasks = nil
}

// judge reports the refused addresses of a task to the engine, as a keeper does.
func (g *rig) judge(t task) {
	addresses := t.try
	for _, a := range t.actions {
		if add, ok := a.(vrrp.AddAddresses); ok {
			addresses = append(addresses, add.Addresses...)
		}
	}
	if len(t.try) > 0 {
		g.note("try %d", len(t.try))
	}
	word := refusals{}
	for _, a := range addresses {
		if why := g.refuses[t.holder.key.place(a)]; why != "" {
			word[t.holder.key.place(a)] = why
		}
	}
	if len(addresses) == 0 || len(word) == 0 && !g.told {
		return
	}
	g.told = len(word) > 0
	g.posts = append(g.posts, func(now time.Time) { g.engine.setRefused(t.holder, word, now) })
}

// settle sends queued adverts and runs posted functions.
func (g *rig) settle() {
	for g.engine.flush(g.now); len(g.posts) > 0; g.engine.flush(g.now) {
		f := g.posts[0]
		g.posts = g.posts[1:]
		f(g.now)
	}
}

// advance advances the clock, timer by timer.
func (g *rig) advance(d time.Duration) {
	end := g.now.Add(d)
	g.settle()
	for next := g.engine.timers.next(); !next.IsZero() && !next.After(end); next = g.engine.timers.next() {
		if next.After(g.now) {
			g.now = next
		}
		g.engine.timers.fire(g.now)
		g.settle()
	}
	g.now = end
}

func usable(prefix string) ifAddress {
	return ifAddress{Prefix: netip.MustParsePrefix(prefix), Usable: true}
}

// up adds an interface with addresses to the engine.
func (g *rig) up(name string, index int, addresses ...string) {
	ifc := netInterface{Index: index, Name: name, Up: true, Hardware: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	for _, a := range addresses {
		ifc.Addresses = append(ifc.Addresses, usable(a))
	}
	g.engine.setInterface(ifc, g.now)
	g.settle()
}

func (g *rig) down(name string, index int) {
	g.engine.setInterface(netInterface{Index: index, Name: name}, g.now)
	g.settle()
}

func (g *rig) want(instances ...vrrp.Instance) {
	w := vrrp.Wanted{DirectorGrace: 2 * time.Second}
	for _, in := range instances {
		w.Instances = append(w.Instances, vrrp.WantedInstance{Instance: in})
	}
	g.engine.setWanted(w, g.now)
	g.settle()
}

// hear passes an advert of another router to the engine.
func (g *rig) hear(in vrrp.Instance, priority uint8, from string) {
	g.t.Helper()
	d := g.datagram(in, priority, from)
	g.engine.receive(g.engine.wires[wireOf(&in)], d, g.now)
	g.settle()
}

func (g *rig) datagram(in vrrp.Instance, priority uint8, from string) datagram {
	g.t.Helper()
	a := in.Advert(priority)
	source := netip.MustParseAddr(from)
	data, err := a.Append(nil, source, vrrp.MulticastAddress(in.Family))
	if err != nil {
		g.t.Fatal(err)
	}
	return datagram{Data: data, From: source, To: vrrp.MulticastAddress(in.Family), TTL: 255}
}

func (g *rig) status(name string) vrrp.Status {
	g.t.Helper()
	statuses := g.engine.statuses(g.now)
	i := slices.IndexFunc(statuses, func(s vrrp.Status) bool { return s.Name == name })
	if i < 0 {
		g.t.Fatalf("no instance %s", name)
	}
	return statuses[i]
}

func (g *rig) expect(name string, state vrrp.State, reason vrrp.Reason) {
	g.t.Helper()
	if s := g.status(name); s.State != state || s.Reason != string(reason) {
		g.t.Errorf("%s is %s because of %q, want %s because of %q", name, s.State, s.Reason, state, reason)
	}
}

func (g *rig) expectDid(want string) {
	g.t.Helper()
	if got := g.did(); got != want {
		g.t.Errorf("did %q\nwant %q", got, want)
	}
}

var errRefused = errors.New("refused by the test")
