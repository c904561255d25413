package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// stopTimeout limits the time for a worker to stop that has no StopTimeout.
const stopTimeout = 5 * time.Second

// Parent keeps workers running until it is stopped.
type Parent struct {
	Program string // namespace of the roles of parent and workers in this network namespace
	Binary  string // path of the installed lvs-ha, which the next upgrade changes over to
	Version string
	Workers []Worker
	Reload  string // name of the worker that receives SIGHUP

	// Open is called once, when every worker is prepared: before that, nothing is changed. It returns the files for each
	// worker; inherited returns one from a dead parent's workers, or nil.
	Open      func(inherited func(name string) *os.File) (map[string][]*os.File, error)
	Memory    *os.File            // set by Open: a version that takes over must be able to continue with what is in it
	Report    func(Upgrade) error // records how far an upgrade is; nil: not
	Requested func() bool         // whether an UpgradeSignal is a request, not meant for keepalived
	Logger    *slog.Logger

	program  string // that its workers execute: ownProgram, except in a test
	succeeds bool   // workers of a dead parent, or of another version, exist
	opened   chan struct{}
	files    map[string][]*os.File // once opened
	stored   map[string]*store     // by worker
	held     *os.File              // the parent role, once opened

	signals   chan os.Signal
	rehearsed chan rehearsal
	failed    chan error // why the version before is put back

	wake       chan struct{} // signalled when all are prepared
	mu         sync.Mutex
	prepared   map[string]bool
	active     map[string]*process // by worker
	started    bool                // all have been ready
	reload     reload
	children   map[int]bool // processes of workers, by process ID
	upgrade    Upgrade
	unrecorded bool      // the last attempt to record upgrade failed
	handover   *Handover // see Inherit; nil when the workers have proved themselves
	trial      *time.Timer
	settling   bool
}

// Run keeps the workers running until ctx ends or SIGTERM or SIGINT arrives; then it stops them in order. The error is a
// *RefusedError if a worker rejects its configuration at its first start.
func (p *Parent) Run(ctx context.Context) error {
	p.opened, p.wake = make(chan struct{}), make(chan struct{}, 1)
	p.program = cmp.Or(p.program, ownProgram)
	p.rehearsed, p.failed, p.signals = make(chan rehearsal), make(chan error, 1), make(chan os.Signal, 1)
	p.prepared, p.active, p.children = map[string]bool{}, map[string]*process{}, map[int]bool{}
	p.stored = map[string]*store{}
	for _, w := range p.Workers {
		p.stored[w.Name] = &store{}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	signal.Notify(p.signals, syscall.SIGHUP, UpgradeSignal)
	defer signal.Stop(p.signals)
	if p.handover != nil {
		p.inherit()
	} else if err := p.checkOthers(); err != nil {
		return err
	}
	defer func() { p.held.Close() }()
	defer p.endHeld()

	workersCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(workersCtx, p.closeStored)
	go p.feedWatchdog(workersCtx)
	ended := make(chan error, len(p.Workers))
	for i := range p.Workers {
		k := keeper{Worker: &p.Workers[i], parent: p, restarted: p.succeeds}
		go func() { ended <- k.run(workersCtx) }()
	}
	var errs []error
	for running := len(p.Workers); running > 0; {
		select {
		case <-p.wake:
			if err := p.open(workersCtx); err != nil && !p.giveUp(err) {
				errs = append(errs, err)
				cancel()
			}
		case s := <-p.signals:
			if s == UpgradeSignal {
				p.askUpgrade(workersCtx)
			} else {
				p.askReload()
			}
		case r := <-p.rehearsed:
			p.handOver(r)
		case err := <-p.failed:
			p.putBack(err)
		case <-workersCtx.Done():
			p.notify(daemon.SdNotifyStopping)
			errs = append(errs, <-ended)
			running--
		case err := <-ended:
			errs = append(errs, err)
			running--
			cancel()
		}
	}
	return errors.Join(errs...)
}

// checkOthers checks for another parent in this network namespace, and for workers of a dead one.
func (p *Parent) checkOthers() error {
	if err := p.awaitNoParent(); err != nil {
		return err
	}
	for _, w := range p.Workers {
		orphan, err := p.awaitOrphan(w.Name)
		if err != nil {
			return err
		}
		p.succeeds = p.succeeds || orphan
	}
	return nil
}

// parentWait is how long to wait for a parent that was just killed to disappear.
const parentWait = time.Second

func (p *Parent) awaitNoParent() error {
	for deadline := time.Now().Add(parentWait); ; time.Sleep(roleRetry) {
		h, err := p.role(parentRole).holder()
		if err != nil || h == nil || h.foreign() {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another lvs-ha is running in this network namespace, %s: stop it first "+
				"(two would fight over virtual addresses and the IPVS table)", h)
		}
	}
}

// awaitOrphan reports whether a dead parent's worker exists. The kernel may need a moment to reparent it.
func (p *Parent) awaitOrphan(name string) (bool, error) {
	for deadline := time.Now().Add(roleWait); ; time.Sleep(roleRetry) {
		orphan, err := p.role(name).orphan()
		if err == nil || time.Now().After(deadline) {
			return orphan != nil, err
		}
	}
}

func (p *Parent) role(name string) role { return role{p.Program, name} }

// open activates all workers, in place of those of a dead parent.
func (p *Parent) open(ctx context.Context) error {
	if p.held == nil {
		role, err := p.role(parentRole).acquire(p.Logger)
		if err != nil {
			return err
		}
		p.held = os.NewFile(uintptr(role), parentRole) // nil for -1
	}
	files, err := p.Open(p.inherited)
	if err != nil {
		return err
	}
	if p.handover == nil {
		p.mu.Lock()
		p.setStep(StepNone, "")
		p.mu.Unlock()
	}
	for _, w := range slices.Backward(p.Workers) { // the speaker last: its peers tolerate the shortest interruption
		if p.handover != nil {
			p.handover.end(w.Name, syscall.SIGKILL)
		}
		if err := p.role(w.Name).takeOver(ctx, p.Logger); err != nil {
			return err
		}
	}
	p.files = files
	close(p.opened)
	return nil
}

// inherited opens a memory file that a dead parent's workers have open.
func (p *Parent) inherited(name string) *os.File {
	for _, w := range p.Workers {
		h, err := p.role(w.Name).orphan()
		if err != nil || h == nil {
			continue
		}
		if f := h.open("/memfd:" + name + " (deleted)"); f != nil {
			return f
		}
	}
	return nil
}

// closeStored closes what the workers stored: connections must not wait for workers that stop.
func (p *Parent) closeStored() {
	for _, s := range p.stored {
		s.close()
	}
}

// setPrepared records that a worker is ready to be activated.
func (p *Parent) setPrepared(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prepared[name] {
		return
	}
	p.prepared[name] = true
	if len(p.prepared) == len(p.Workers) {
		p.wake <- struct{}{}
	}
}
