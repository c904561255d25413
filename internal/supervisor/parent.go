package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// stopTimeout is how long a worker may take to stop: the speaker resigns within vrrp.MaxFinalLeave, which the director waits for.
const stopTimeout = 5 * time.Second

// parentEnv tells a worker its parent's process id.
const parentEnv = "LVS_HA_PARENT"

// Parent keeps workers running until it is told to stop.
type Parent struct {
	Binary  string   // path of lvs-ha
	Workers []Worker // SIGHUP goes to the one named Reload
	Reload  string
	Logger  *slog.Logger

	mu     sync.Mutex
	ready  map[string]bool
	pid    int  // of the worker Reload that has its turn; 0: none has
	hears  bool // it is ready for SIGHUP, which would kill it before
	unread bool // a reload was asked for meanwhile
}

// Run keeps the workers running until ctx ends or SIGTERM or SIGINT arrives; then it stops them in order. The error is
// a *RefusedError if a worker refuses its configuration at its first start.
func (p *Parent) Run(ctx context.Context) error {
	p.ready = map[string]bool{}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	workersCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(p.Workers))
	for i := range p.Workers {
		go func() {
			runtime.LockOSThread()
			ended <- p.Workers[i].keep(workersCtx, p)
		}()
	}
	var errs []error
	for running := len(p.Workers); running > 0; {
		select {
		case <-hup:
			p.reload()
		case <-workersCtx.Done():
			daemon.SdNotify(false, daemon.SdNotifyStopping)
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

// reload passes SIGHUP on. A process that is not ready yet gets it when it is; one that has yet to be started will read
// everything anyway.
func (p *Parent) reload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return
	}
	p.Logger.Info("reload asked for by signal", "worker", p.Reload, "pid", p.pid, "ready", p.hears)
	p.unread = true
	p.passReload()
}

func (p *Parent) passReload() {
	if !p.hears || !p.unread {
		return
	}
	p.unread = false
	if err := syscall.Kill(p.pid, syscall.SIGHUP); err != nil {
		p.Logger.Error("reload signal not delivered", "worker", p.Reload, "pid", p.pid, "error", err)
	}
}

// setTurn notes which process of a worker has its turn; 0: none.
func (p *Parent) setTurn(name string, pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name == p.Reload {
		p.pid, p.hears, p.unread = pid, false, false
	}
}

func (p *Parent) setReady(name string, pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name == p.Reload && p.pid == pid {
		p.hears = true
		p.passReload()
	}
	already := len(p.ready) == len(p.Workers)
	p.ready[name] = true
	if !already && len(p.ready) == len(p.Workers) {
		daemon.SdNotify(false, daemon.SdNotifyReady)
		p.Logger.Info("ready")
	}
}
