package supervisor

import (
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

// stopTimeout limits the time for a worker to stop: the speaker resigns within vrrp.MaxFinalLeave, and the director
// waits for it.
const stopTimeout = 5 * time.Second

// Parent keeps workers running until it is stopped.
type Parent struct {
	Program string // namespace of the roles of parent and workers in this network namespace
	Binary  string // path of lvs-ha
	Workers []Worker
	Reload  string // name of the worker that receives SIGHUP

	// Open is called once, when every worker is prepared: before that, nothing is changed. It returns the files for each
	// worker; inherited returns one from a dead parent's workers, or nil.
	Open   func(inherited func(name string) *os.File) (map[string][]*os.File, error)
	Logger *slog.Logger

	succeeds bool // workers of a dead parent exist
	opened   chan struct{}
	files    map[string][]*os.File // once opened
	held     *os.File              // the parent role, once opened

	wake     chan struct{} // signalled when all are prepared
	mu       sync.Mutex
	prepared map[string]bool
	active   map[string]*process // by worker
	started  bool                // all have been ready
	reload   reload
}

// Run keeps the workers running until ctx ends or SIGTERM or SIGINT arrives; then it stops them in order. The error is a
// *RefusedError if a worker rejects its configuration at its first start.
func (p *Parent) Run(ctx context.Context) error {
	p.opened, p.wake = make(chan struct{}), make(chan struct{}, 1)
	p.prepared, p.active = map[string]bool{}, map[string]*process{}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	if err := p.checkOthers(); err != nil {
		return err
	}
	defer func() { p.held.Close() }()

	workersCtx, cancel := context.WithCancel(ctx)
	defer cancel()
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
			if err := p.open(workersCtx); err != nil {
				errs = append(errs, err)
				cancel()
			}
		case <-hup:
			p.askReload()
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
	role, err := p.role(parentRole).acquire(p.Logger)
	if err != nil {
		return err
	}
	p.held = os.NewFile(uintptr(role), parentRole) // nil for -1
	files, err := p.Open(p.inherited)
	if err != nil {
		return err
	}
	for _, w := range slices.Backward(p.Workers) { // the speaker last: its peers tolerate the shortest interruption
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
