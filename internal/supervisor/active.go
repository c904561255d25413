package supervisor

import (
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/lvs-ha/lvs-ha/internal/resident"
)

// reload is a reload requested with SIGHUP.
type reload struct {
	asked    bool     // systemd waits for its end
	unsent   bool     // the worker is not ready for SIGHUP, which would kill it
	signaled *process // has received SIGHUP
}

// isReady reports whether the process has reported that it is ready.
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

// setActive records the active process of a worker; nil: none.
func (p *Parent) setActive(name string, proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active[name] = proc
	p.progress()
}

func (p *Parent) forgetChild(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.children, pid)
}

func (p *Parent) setReady() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress()
}

// isHealthy reports whether all workers are ready.
func (p *Parent) isHealthy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allReady()
}

func (p *Parent) allReady() bool {
	for _, w := range p.Workers {
		if !p.active[w.Name].isReady() {
			return false
		}
	}
	return true
}

// progress continues actions that waited for a worker to be ready.
func (p *Parent) progress() {
	p.passReload()
	if !p.allReady() {
		return
	}
	if !p.started {
		p.started = true
		p.Logger.Info("ready")
		go resident.Release() // most of the start is not needed any more
	}
	p.settle()
	if p.reload.asked && p.reload.signaled == p.active[p.Reload] {
		return // systemd is notified at its end
	}
	p.reload = reload{}
	p.notify(readyState)
}

const readyState = daemon.SdNotifyReady + "\nSTATUS=All workers are ready."

// askReload forwards SIGHUP. A process that is not ready receives it when it is.
func (p *Parent) askReload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	proc := p.active[p.Reload]
	p.Logger.Info("reload requested by signal", "worker", p.Reload, "ready", proc.isReady())
	p.reload = reload{asked: true, unsent: true}
	if p.started {
		p.notifyReloading()
	}
	p.passReload()
}

func (p *Parent) passReload() {
	proc := p.active[p.Reload]
	if !p.reload.unsent || !proc.isReady() {
		return
	}
	p.reload.unsent, p.reload.signaled = false, proc
	if err := proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.Logger.Error("reload signal not delivered", "worker", p.Reload, "pid", proc.pid(), "error", err)
	}
}

// setReloaded records that a process has reloaded. If SIGHUP was sent more than once, the first end counts.
func (p *Parent) setReloaded(proc *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reload.asked && p.reload.signaled == proc {
		p.reload = reload{}
		p.notify(readyState)
	}
}
