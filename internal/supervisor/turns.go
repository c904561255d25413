package supervisor

import (
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
)

// reload is one that SIGHUP asked for.
type reload struct {
	asked    bool     // and systemd waits for its end
	unsent   bool     // its worker is not ready for SIGHUP, which would kill it
	signaled *process // has got SIGHUP
}

// isReady reports whether a process has said so.
func (p *process) isReady() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// setTurn records which process of a worker is active; nil: none.
func (p *Parent) setTurn(name string, proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns[name] = proc
	p.progress()
}

func (p *Parent) setReady() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress()
}

// well reports whether all workers are ready.
func (p *Parent) well() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allReady()
}

func (p *Parent) allReady() bool {
	for _, w := range p.Workers {
		if !p.turns[w.Name].isReady() {
			return false
		}
	}
	return true
}

// progress does what has waited for a worker to be ready.
func (p *Parent) progress() {
	p.passReload()
	if !p.allReady() {
		return
	}
	if !p.started {
		p.started = true
		p.Logger.Info("ready")
	}
	if p.reload.asked && p.reload.signaled == p.turns[p.Reload] {
		return // systemd is told at its end
	}
	p.reload = reload{}
	p.notify(readyState)
}

const readyState = daemon.SdNotifyReady + "\nSTATUS=All workers are ready."

// askReload passes SIGHUP on. A process that is not ready yet gets it when it is.
func (p *Parent) askReload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	proc := p.turns[p.Reload]
	p.Logger.Info("reload requested by signal", "worker", p.Reload, "ready", proc.isReady())
	p.reload = reload{asked: true, unsent: true}
	if p.started {
		p.notifyReloading()
	}
	p.passReload()
}

func (p *Parent) passReload() {
	proc := p.turns[p.Reload]
	if !p.reload.unsent || !proc.isReady() {
		return
	}
	p.reload.unsent, p.reload.signaled = false, proc
	if err := proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.Logger.Error("reload signal not delivered", "worker", p.Reload, "pid", proc.pid(), "error", err)
	}
}

// setReloaded notes that a process has reloaded. Where SIGHUP has been sent more than once, the first end counts.
func (p *Parent) setReloaded(proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reload.asked && p.reload.signaled == proc {
		p.reload = reload{}
		p.notify(readyState)
	}
}
