package speaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/flight"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Options configure a speaker.
type Options struct {
	// Turn is called when the process is prepared, and returns when it must start working. This allows a spare to take over
	// from a killed speaker within milliseconds.
	Turn func(ctx context.Context) (Turn, error)

	Ready  func() // called once, when directors are served
	Alive  func() // called every second after that, from the loop that sends adverts
	Logger *slog.Logger
}

// Turn holds the inputs of an activated speaker.
type Turn struct {
	Listener net.Listener // where directors connect; Run closes it
	Tenures  *os.File     // from NewTenures. If nil, speakers do not adopt the addresses of a killed one
	Flight   *os.File     // from flight.Create; nil: nothing is recorded
	Adopt    bool         // it replaces another speaker and continues as master of the addresses already present
}

const (
	// stopTimeout limits the duration of a stop, including the hand-over.
	stopTimeout = vrrp.MaxFinalLeave + 100*time.Millisecond

	// grownPause is how long after the last added address the keeper checks all, for example whether a refused route can be set.
	// Several instances that take over do not wait for checks caused by each other's addresses.
	grownPause = 100 * time.Millisecond

	sweepTimeout    = 2 * time.Second       // for the removal of macvlans; the kernel takes some 20 ms for one
	farewellTimeout = 40 * time.Millisecond // for the last statuses to reach the director
)

// ErrStopTimeout means that a stop did not complete in time. Addresses may be left on their interfaces.
var ErrStopTimeout = errors.New("the speaker did not stop in time: virtual addresses may be left on their interfaces")

// Run runs the speaker. It locks the process's memory, and raises its priority after Options.Turn has returned. When ctx
// ends it hands over with priority 0, removes its addresses and returns, at most slightly later than vrrp.MaxFinalLeave.
func Run(ctx context.Context, o Options) error {
	prepareProcess(o.Logger)
	turn, err := o.Turn(ctx)
	if err != nil {
		return fmt.Errorf("wait for activation: %w", err)
	}
	priority := &priority{log: o.Logger}
	priority.apply()
	defer turn.Listener.Close()
	s, err := newSpeaker(o, turn, priority)
	if err != nil {
		return fmt.Errorf("start the speaker: %w", err)
	}
	s.keeper.pacer.needed = func() bool { return !priority.realTime() }
	s.loop.listen.receive, s.loop.listen.interval = priority.realTime, s.loop.engine.shortestInterval
	left := s.loop.engine.tenures.take()
	if turn.Adopt {
		s.loop.engine.inherited = left
		s.resumed = s.kept.read()
	} else if err := s.kept.write(nil); err != nil {
		return fmt.Errorf("start the speaker: %w", err)
	}
	return s.run(ctx)
}

// speaker holds the parts of the process.
type speaker struct {
	Options
	listener  net.Listener
	priority  *priority
	loop      *loop
	watcher   *watcher
	kernel    *kernelAddresses
	frames    *frameSender
	macvlans  *macvlans
	accept    *acceptFilter
	keeper    *keeper
	announcer *announcer
	neighbors *neighbors
	server    *server
	kept      *keptWanted
	batch     *batcher
	routes    *routeWatcher
	memory    *memory
	resumed   *vrrp.Wanted // from the previous speaker; nil if none
}

func newSpeaker(o Options, turn Turn, p *priority) (*speaker, error) {
	log := o.Logger
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	kernel, err := newKernelAddresses()
	if err != nil {
		return nil, err
	}
	watcher, err := newWatcher(log)
	if err != nil {
		return nil, err
	}
	s := &speaker{
		Options: o, listener: turn.Listener, kernel: kernel, watcher: watcher, frames: &frameSender{}, priority: p, memory: newMemory(p),
	}
	s.announcer = newAnnouncer(log, s.frames, watcher.lookup)
	s.macvlans = newMacvlans(watcher.handle.Handle)
	if s.batch, err = newBatcher(); err != nil {
		return nil, err
	}
	s.routes = &routeWatcher{log: log, wake: newWakeup(), deleted: func() { s.keeper.requestCheck() }}
	routing := &kernelRouting{batch: s.batch, index: func(name string) int { return watcher.lookup(name).Index }}
	s.keeper = newKeeper(log, kernel, s.macvlans, s.announcer, watcher.lookup, s.refused, newHeldRouting(routing, s.routesRefused, s.routes.wake.notify))
	s.keeper.sleep = sleepExactly
	clock := newClock()
	s.loop = &loop{poller: poller, receiver: newReceiver(), now: clock.now, arrival: clock.arrival}
	s.server = &server{log: log, ordered: s.ordered, arrived: s.arrived, left: s.left}
	s.loop.publish = s.server.publish
	e := newEngine(log, s.loop, s, func(f func(time.Time)) { s.loop.post(f) })
	if e.tenures, err = mapTenures(turn.Tenures); err != nil {
		return nil, err
	}
	if e.flight, err = flight.Open(turn.Flight, bootTime); err != nil {
		log.Warn("flight recorder not available; lvs-ha explain will show nothing", "error", err)
	}
	if e.flight != nil {
		e.flight.Report = func(err error) { reportRecording(log, err) }
	}
	s.accept = newAcceptFilter(log, dropPackets)
	s.accept.result = func(problem string) {
		s.loop.post(func(time.Time) { s.loop.engine.setAccepting(problem) })
	}
	e.refusePackets = s.accept.set
	s.kept = newKeptWanted(log, turn.Tenures)
	e.keep = func(w *vrrp.Wanted) {
		s.kept.keep(w)
		s.memory.wake.notify()
	}
	e.reportStatic = s.server.publishStatic
	e.history = newHistory(e.tenures.series)
	s.server.history = e.history
	e.tenures.now = clock.bootTime
	s.loop.engine = e
	later := time.AfterFunc(grownPause, s.keeper.requestCheck)
	watcher.changed = func(ifc netInterface, grown bool) {
		s.loop.post(func(now time.Time) { e.setInterface(ifc, now) })
		if grown {
			later.Reset(grownPause)
		} else {
			s.keeper.requestCheck()
		}
	}
	watcher.deleted = s.keeper.requestCheck
	s.neighbors = newNeighbors(log, watcher.lookup, watcher.owns)
	s.neighbors.below = watcher.below
	s.neighbors.answered = func(key routerKey, a netip.Addr, mac net.HardwareAddr) {
		s.loop.post(func(now time.Time) { e.addressInUse(key, a, mac, now) })
	}
	s.neighbors.advertised = func(a sniffedAdvert) {
		s.loop.post(func(now time.Time) { e.advertSniffed(a, now) })
	}
	return s, nil
}

func (s *speaker) refused(h *holder, all refusals) {
	s.loop.post(func(now time.Time) { s.loop.engine.setRefused(h, all, now) })
}

func (s *speaker) routesRefused(h *holder, all []string) {
	s.loop.post(func(time.Time) { s.loop.engine.setRoutesRefused(h, all) })
}

func (s *speaker) submit(t task) { s.keeper.submit(t) }
func (s *speaker) announce(t task, addresses []vrrp.Address) {
	s.announcer.AnnounceNow(newBurst(t, addresses))
}

func (s *speaker) announceOn() { s.announcer.Continue() }

func (s *speaker) repeat(h *holder)  { s.announcer.repeat(h) }
func (s *speaker) silence(h *holder) { s.announcer.stop(h) }

func (s *speaker) limit(limits []vrrp.AnnounceLimit) { s.announcer.setLimits(limits) }

func (s *speaker) watch(key routerKey, addresses []placed) { s.neighbors.watch(key, addresses) }

func (s *speaker) run(ctx context.Context) error {
	defer s.kernel.Close()
	defer s.batch.close()
	defer s.watcher.handle.Close()
	defer s.frames.close()
	// Read the interfaces before any instance starts, because adoption needs them.
	if _, err := s.watcher.resync(); err != nil {
		return fmt.Errorf("start the speaker: %w", err)
	}
	if w := s.resumed; w != nil {
		s.loop.post(func(now time.Time) { s.loop.engine.resume(*w, now) })
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { s.watcher.run(background) })
	wg.Go(func() { s.keeper.run(background) })
	wg.Go(func() { s.routes.run(background) })
	wg.Go(func() { s.announcer.run(background) })
	wg.Go(func() { s.neighbors.run(background) })
	wg.Go(func() { s.kept.run(background) })
	wg.Go(func() { s.accept.run(background) })
	wg.Go(func() { s.memory.run(background) })
	served := make(chan error, 1)
	wg.Go(func() { served <- s.server.serve(background, s.listener) })
	ended := make(chan error, 1)
	wg.Go(func() {
		// Never unlocked: the thread may have its own priority, and must exit with the goroutine.
		runtime.LockOSThread()
		s.priority.enterLoop()
		ended <- s.loop.run()
	})
	s.Ready()
	wg.Go(func() { s.everySecond(background) })
	err := s.wait(ctx, ended, served)
	if !errors.Is(err, ErrStopTimeout) {
		s.removeMacvlans()
	}
	s.server.finish(farewellTimeout)
	cancel()
	s.listener.Close()
	if !errors.Is(err, ErrStopTimeout) {
		wg.Wait()
	}
	return err
}

// removeMacvlans removes the macvlans of all routers, after the loop has ended.
func (s *speaker) removeMacvlans() {
	if !slices.ContainsFunc(s.loop.engine.wanted.Instances, func(in vrrp.WantedInstance) bool { return in.VMAC != nil }) {
		return
	}
	done := make(chan struct{})
	s.keeper.submit(task{sweepLinks: map[string]bool{}, done: func() { close(done) }})
	select {
	case <-done:
	case <-time.After(sweepTimeout):
	}
}

// wait waits until the context and then the loop have ended, or until a part has failed.
func (s *speaker) wait(ctx context.Context, ended, served <-chan error) error {
	var failure error
	select {
	case <-ctx.Done():
	case err := <-ended:
		return fmt.Errorf("event loop: %w", err)
	case err := <-served:
		// No director can connect: hand over and exit; the parent starts another.
		failure = fmt.Errorf("accept directors: %w", err)
	}
	s.Logger.Info("stopping: handing over")
	s.loop.post(s.loop.engine.stop)
	select {
	case err := <-ended:
		return errors.Join(failure, err)
	case <-time.After(stopTimeout):
		return errors.Join(failure, ErrStopTimeout)
	}
}

func (s *speaker) ordered(c *directorConn, o order) {
	at := time.Now()
	s.loop.leave(func(now time.Time) { s.loop.engine.directorHeard(at, now) })
	if o.Wanted != nil {
		s.loop.post(func(now time.Time) { s.loop.engine.setWanted(*o.Wanted, now) })
	}
	// One report answers all requests that arrive before it is sent.
	if o.Report && !o.Counts {
		c.all.Store(true)
	}
	if o.Report && c.asked.CompareAndSwap(false, true) {
		s.loop.post(func(time.Time) {
			c.asked.Store(false)
			n := news{Report: true, Figures: s.loop.engine.figures()}
			if c.all.Swap(false) {
				n.Statuses = s.loop.engine.statuses(time.Now())
			} else {
				n.Statuses, n.Counters = s.loop.engine.report(time.Now())
			}
			c.put(n)
		})
	}
}

func (s *speaker) arrived(c *directorConn) {
	s.loop.post(func(time.Time) {
		static := s.loop.engine.static.allRefused()
		c.put(news{Statuses: s.loop.engine.statuses(time.Now()), Static: &static})
	})
}

func (s *speaker) left() {
	s.loop.post(s.loop.engine.directorGone)
}

// everySecond calls Alive if the loop works, and checks the priority, at the same moment: the fewer wake-ups, the better.
func (s *speaker) everySecond(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for turns := uint64(0); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.priority.apply()
		if now := s.loop.turns.Load(); now != turns {
			turns = now
			s.Alive()
			continue
		}
		s.loop.post(func(time.Time) { s.Alive() })
	}
}
