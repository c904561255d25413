package director

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/discovery"
	"github.com/lvs-ha/lvs-ha/internal/events"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/internal/notify"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/internal/script"
	"github.com/lvs-ha/lvs-ha/internal/track"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Kernel is the IPVS table and the connection-sync daemons of this network namespace.
type Kernel interface {
	ipvs.Applier
	Table(ctx context.Context) ([]ipvs.ServiceState, error)
	Lookup(ctx context.Context, keys []ipvs.ServiceKey) ([]ipvs.ServiceState, error) // the ones that exist
	Timeouts(ctx context.Context) (ipvs.Timeouts, error)
	SetTimeouts(ctx context.Context, t ipvs.Timeouts) error
	connsync.Kernel
	Close() error
}

// Checker runs the health checks and reports results to the director's inbox.
type Checker interface {
	Run(ctx context.Context) error
	Update(targets []healthcheck.Target) error
}

// Speaker is the VRRP process.
type Speaker interface {
	Run(ctx context.Context)
	Set(w vrrp.Wanted)
	Report(ctx context.Context, all bool) error // returns after SpeakerReports.Counters was called with current counters, or Statuses with all
	Alive()                                     // reports that the director is not stuck
}

// Options configure a Director.
type Options struct {
	Version    string
	ConfigPath string
	Load       func() (*config.Config, []config.Finding, error) // reads and validates the configuration; returns warnings
	StateFile  string
	Restarted  bool // this process replaces a director that ended unexpectedly
	OpenKernel func(ctx context.Context) (Kernel, error)
	Sysctls    Sysctls   // nil: not managed
	Addresses  Addresses // nil if no addresses can be left after a stop

	WatchSysctls func(ctx context.Context, changed func()) // reports changes of Sysctls until ctx ends; may be nil

	NewChecker func(report func(healthcheck.Event)) Checker
	NewTracker func(report func(name string, r track.Result)) Tracker
	NewSpeaker func(SpeakerReports) Speaker

	NewDiscoverer func(report func(key string, r discovery.Report)) Discoverer

	Configured func(cfg *config.Config) // called when a configuration comes into force; may be nil
	Ready      func()                   // called once, after the first configuration has been applied
	Alive      func()                   // called every second after that by the goroutine that owns the state; may be nil
	Logger     *slog.Logger

	// RunScript runs a command for a notification; CheckScript returns why it cannot be run.
	RunScript   func(ctx context.Context, c script.Command) script.Result
	CheckScript func(c script.Command) error

	Upgrade   func() *api.Upgrade // returns the latest upgrade of lvs-ha; may be nil
	Recording io.ReaderAt         // of the flight recorder; nil if there is none
}

// SpeakerReports are the functions that a speaker's client calls with its reports. They do not block.
type SpeakerReports struct {
	Statuses    func([]vrrp.Status)
	Counters    func(map[string]vrrp.Counters) // of instances that have not changed otherwise, by name
	Transitions func([]vrrp.Transition)        // each once, in order, and before Statuses with the resulting states
	Static      func([]string)                 // what the kernel refuses of the static addresses, routes and rules
	Connected   func(bool)
}

// Deadlines and pauses.
const (
	kernelTimeout = 10 * time.Second        // for one pass over the kernel's table
	stopWait      = 3500 * time.Millisecond // for the speaker to hand over at stop: slightly more than the parent waits for it
	stopLimit     = 4300 * time.Millisecond // for a stop with its notifications: slightly less than the parent waits
	aliveInterval = time.Second
)

// Director owns the state; only the goroutine in Run accesses it.
type Director struct {
	Options
	inbox    *inbox
	requests chan func()
	views    chan func() // read-only; also served while the kernel is busy
	alive    *time.Ticker
	ready    bool
	checker  Checker
	tracker  Tracker
	speaker  Speaker

	discoverer Discoverer

	kernel Kernel // nil while it cannot be opened

	declared  *config.Config // as it was loaded
	cfg       *config.Config // in force: declared, with the discovered real servers
	found     discovered
	loaded    time.Time
	read      time.Time // when the file was last read, whether it was accepted or not
	started   time.Time
	reloading chan struct{} // locked during a reload

	unconfirmed     unconfirmed
	unconfirmedFile *keeper
	unconfirmedOver *time.Timer

	reloadErr error // of the last reload
	startErr  error // error of the file when this process started, until a reload
	memory    memory
	stateFile *keeper

	positionFile *keeper
	notifyFile   *keeper
	notifier     *notify.Notifier

	overrides     map[pool.Server]override
	orders        map[pool.Server]pool.Override // of overrides; a change replaces the map
	overridesFile *keeper
	changes       map[ipvs.ServiceKey]time.Time // when the verdict on a service changes without any event
	poolsDue      *time.Timer                   // for the first of them, and the first override that ends

	failovers     map[string]failover // active, by instance
	failoversFile *keeper
	failoverOver  *time.Timer          // for the first of them to expire
	handOvers     map[string]*handOver // under way, by instance

	sysctlTurn chan struct{} // held while kernel parameters are applied
	unsaved    bool          // the last awaited write of the state file failed

	checks    *pool.Results // a load replaces it
	lacking   shortages
	results   map[string]track.Result // by track name
	adopted   pool.Adopted            // a change replaces the map
	memories  map[ipvs.ServiceKey]pool.Memory
	notified  map[ipvs.ServiceKey]*notified
	suspended map[ipvs.ServiceKey]bool // services whose checks do not run here; a change replaces the map

	adopting bool // adopted has not yet been read from the kernel
	settling bool // not every check has a result since the configuration was applied
	vrrp     map[string]vrrp.Status

	instances map[string]bool // of the configuration

	programmed bool   // the table has been as wanted at least once
	unfitness  string // why this node is the last resort; empty if it is not

	events      *events.Log
	eventsFile  *keeper
	eventsSaved time.Time

	history  *history.History
	passed   vrrp.Position // the last event passed to the subscribers
	linked   bool          // connected to the speaker
	unlinked time.Time     // when the connection was lost, if not linked
	gate     gate
	gateOpen *time.Timer
	repair   *time.Timer
	rested   *time.Timer     // when the next comparison of services may begin
	resting  time.Time       // until then
	compared []time.Duration // durations of the last full comparisons
	touched  touched
	retries  retries
	counters *counters
	problems problems
}

// New returns a director, which Run starts.
func New(o Options) *Director {
	d := &Director{
		Options:   o,
		inbox:     newInbox(),
		requests:  make(chan func()),
		views:     make(chan func()),
		retries:   newRetries(),
		counters:  newCounters(o.OpenKernel),
		reloading: make(chan struct{}, 1),
		checks:    &pool.Results{},
		lacking:   newShortages(),
		memories:  map[ipvs.ServiceKey]pool.Memory{},
		notified:  map[ipvs.ServiceKey]*notified{},
		vrrp:      map[string]vrrp.Status{},
		gateOpen:  time.NewTimer(0),
		overrides: map[pool.Server]override{},
		changes:   map[ipvs.ServiceKey]time.Time{},
		poolsDue:  time.NewTimer(0),
		rested:    time.NewTimer(0),
		failovers: map[string]failover{},
		handOvers: map[string]*handOver{},
		stateFile: newKeeper(o.StateFile, stateFormat),
		history:   history.New(),

		positionFile: newKeeper(positionFile(o.StateFile), positionFormat),
		notifyFile:   newKeeper(notifyFile(o.StateFile), progressFormat),

		overridesFile: newKeeper(overridesFile(o.StateFile), overridesFormat),
		failoversFile: newKeeper(failoversFile(o.StateFile), failoversFormat),
		failoverOver:  time.NewTimer(0),

		unconfirmedFile: newKeeper(unconfirmedFile(o.StateFile), unconfirmedFormat),
		unconfirmedOver: time.NewTimer(0),

		found: discovered{file: newKeeper(discoveryFile(o.StateFile), discoveryFormat)},

		sysctlTurn: make(chan struct{}, 1),
		events:     events.New(),
		eventsFile: newKeeper(eventsFile(o.StateFile), eventsFormat),
	}
	d.problems = problems{log: o.Logger, events: d.events}
	d.checker = o.NewChecker(d.inbox.result)
	d.tracker = o.NewTracker(d.inbox.track)
	d.discoverer = o.NewDiscoverer(d.inbox.discovered)
	d.speaker = o.NewSpeaker(SpeakerReports{Statuses: d.inbox.statuses, Counters: d.inbox.counters, Transitions: d.inbox.transitions, Static: d.inbox.staticRefused, Connected: d.inbox.connected})
	return d
}

// Run loads the configuration and applies it to the kernel until ctx ends; then it stops in order. The error is a
// *ConfigError if there is no valid configuration to start with.
func (d *Director) Run(ctx context.Context) error {
	d.started = time.Now()
	d.unlinked = d.started
	d.gate.follow(connsync.Backup, d.started)
	if err := d.start(); err != nil {
		return err
	}
	d.alive = time.NewTicker(aliveInterval)
	defer d.alive.Stop()
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { d.checker.Run(background) })
	running.Go(func() { d.tracker.Run(background) })
	running.Go(func() { d.speaker.Run(background) })
	running.Go(func() { d.discoverer.Run(background) })
	if d.WatchSysctls != nil {
		running.Go(func() { d.WatchSysctls(background, d.inbox.sysctlsChanged) })
	}
	defer func() {
		cancel()
		running.Wait()
		d.counters.close()
	}()

	d.load(ctx, d.cfg)
	d.reconcile(ctx)
	d.ready = true
	d.Ready()
	go d.release()
	d.repair = time.NewTimer(d.untilRepair(0))
	defer d.repair.Stop()
	for {
		requested := false
		select {
		case <-d.alive.C:
			d.reportAlive()
			continue
		case <-ctx.Done():
			d.stop(context.WithoutCancel(ctx))
			return nil
		case request := <-d.requests:
			request()
			requested = true
		case view := <-d.views:
			d.take(d.inbox.take())
			view()
		case <-d.inbox.signal:
			d.take(d.inbox.take())
		case <-d.retries.timer.C:
		case <-d.gateOpen.C:
			d.updateSpeaker()
		case <-d.failoverOver.C:
			d.updateSpeaker()
		case <-d.unconfirmedOver.C:
			d.revertUnconfirmed(ctx)
		case <-d.poolsDue.C:
			d.touchDuePools(time.Now())
		case <-d.rested.C:
		case <-d.repair.C:
			d.repairAll(ctx)
			continue
		}
		if time.Since(d.eventsSaved) >= aliveInterval {
			d.saveEvents() // before what follows from them, which may be what the director ends with
		}
		if requested || !d.rests(time.Now()) {
			d.reconcile(ctx)
		}
	}
}

// ServesAPI records why the API is not served at an address of the configuration; nil means that it is, or need not be. It does not wait.
func (d *Director) ServesAPI(address string, err error) { d.inbox.servesAPI(address, err) }

// updateSpeaker sends the wanted state to the speaker, and schedules the next update for when the preemption gate opens.
func (d *Director) updateSpeaker() {
	now := time.Now()
	w := wanted(d.cfg, &d.gate, d.results, now)
	d.addFailovers(&w, now)
	d.addFitness(&w)
	d.speaker.Set(w)
	if v := followed(d.cfg); v != nil {
		if at := d.gate.opens(v.ConnectionSync.LearnTime, now); !at.IsZero() {
			d.gateOpen.Reset(at.Sub(now))
		}
	}
}

// take records news and marks the services and parts that it affects.
func (d *Director) take(n news) {
	if n.speaker != nil && *n.speaker != d.linked {
		d.linked, d.unlinked = *n.speaker, time.Now()
		if d.linked {
			d.Logger.Info("speaker connected")
		} else {
			d.Logger.Info("speaker disconnected") // at a stop, an upgrade and a crash, of which only the last is a fault, which the parent logs
		}
	}
	if n.static != nil {
		d.problems.set("static", staticProblem(*n.static))
	}
	for _, address := range slices.Sorted(maps.Keys(n.api)) {
		d.problems.set("api "+address, n.api[address])
	}
	d.record(n.transitions)
	updates := false
	for name, status := range n.vrrp {
		if !d.instances[name] {
			continue // a late status of a removed instance
		}
		was, known := d.vrrp[name]
		d.vrrp[name] = status
		d.addConflicts(name, was.Conflicts, status.Conflicts)
		updates = d.followHandOver(name, status) || updates
		if !known || was.State != status.State {
			d.Logger.Debug("VRRP state received", "instance", name, "from", was.State, "to", status.State, "reason", status.Reason)
			d.touched.sync = true
		}
	}
	for name, counters := range n.counters {
		if status, known := d.vrrp[name]; known {
			status.Counters = counters
			d.vrrp[name] = status
		}
	}
	if len(n.vrrp) > 0 {
		d.reviewSuspended()
	}
	changed := false
	for key, result := range n.results {
		users := d.checks.Users(key)
		if users == nil {
			continue
		}
		before := d.checks.Of(key)
		was := before.State
		result.Health.Took = result.Took
		d.checks.Set(key, result.Health)
		d.lacking.note(key, result)
		if before.Advice != result.Advice {
			d.Logger.Log(context.Background(), levelOfAdvice(before.Advice, result.Advice), "server's weight", "endpoint", result.Target.Endpoint,
				"check", result.Target.Spec.Kind(), "from", before.Advice.String(), "to", result.Advice.String())
			d.touched.services(users)
			changed = true
		}
		if was == result.State {
			continue
		}
		d.Logger.Log(context.Background(), levelOf(result.State), "health changed", "endpoint", result.Target.Endpoint, "check", result.Target.Spec.Kind(), "from", was,
			"to", result.State, "detail", result.Detail)
		d.touched.services(users)
		changed = true
	}
	updates = d.takeTracks(n.tracks) || updates
	d.takeDiscovered(n.found)
	if changed {
		updates = d.reviewServiceTracks(time.Now()) || updates
	}
	if updates {
		d.updateSpeaker()
	}
	d.problems.set("health checks", d.lacking.problem(d.checks.Len()))
	d.touched.sysctls = d.touched.sysctls || n.sysctls
}

// levelOf is the log level of a change to a check's state: a failed server is a warning, since its pool is degraded.
func levelOf(s healthcheck.State) slog.Level {
	if s == healthcheck.Down {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// levelOfAdvice is the log level of a change to what a check advises: weights may change with every result.
func levelOfAdvice(from, to healthcheck.Advice) slog.Level {
	if from.Mode != to.Mode {
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// do runs f in the goroutine that owns the state.
func (d *Director) do(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	select {
	case d.requests <- func() { result <- f() }:
		return <-result
	case <-ctx.Done():
		return fmt.Errorf("waiting for the director: %w", context.Cause(ctx))
	}
}

// stop ends in order: the speaker hands over, the sync daemons stop, and the table stays or is removed as configured.
func (d *Director) stop(ctx context.Context) {
	d.Logger.Info("stopping", "ipvs_table", d.cfg.Director.OnStop)
	began := time.Now()
	d.awaitHandOver()
	if d.removeAddresses() {
		d.clear(ctx)
		d.restoreSysctls()
	}
	d.closeKernel()
	d.await(func() { d.notifier.Stop(began.Add(stopLimit)) })
	_ = d.stateFile.wait() // reported as a problem already
	_ = d.positionFile.wait()
	_ = d.failoversFile.wait()
	_ = d.unconfirmedFile.wait()
	_ = d.overridesFile.wait()
	_ = d.found.file.wait()
	_ = d.notifyFile.wait()
	d.saveEvents()
	_ = d.eventsFile.wait()
}

func (d *Director) closeKernel() {
	if d.kernel != nil {
		d.kernel.Close()
	}
}
