package supervisor

import (
	"context"
	"time"
)

// beginTimeout limits the time for a spare to confirm its activation. After that, starting a new process is faster.
const beginTimeout = time.Second

// settleTime is the pause before a new spare is started, which uses the CPU that the activated worker needs.
const settleTime = 300 * time.Millisecond

// beginSpare activates the spare. It returns nil if none is prepared, or if the spare does not respond.
func (k *keeper) beginSpare(ctx context.Context) (*process, error) {
	if k.spares == nil {
		return nil, nil
	}
	reply := make(chan *process, 1)
	select {
	case k.spares <- reply:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	proc := <-reply
	if proc == nil {
		return nil, nil
	}
	err := proc.begin(k.parent.files[k.Name])
	if err == nil {
		timeout := time.NewTimer(beginTimeout)
		defer timeout.Stop()
		select {
		case <-proc.begun:
			return proc, nil
		case <-proc.done:
			err = proc.err
		case <-timeout.C:
			err = context.DeadlineExceeded
		}
	}
	proc.log.Error("spare worker did not take over; starting another", "pid", proc.pid(), "error", err)
	_ = proc.cmd.Process.Kill() // without waiting
	return nil, nil
}

// keepSpare keeps a process prepared for activation, until ctx ends. A spare that cannot be started, ends or hangs is
// replaced, with back-off. The first process is already active.
func (k *keeper) keepSpare(ctx context.Context, first *process) {
	k.waitForStart(ctx, first)
	var pause time.Duration
	for starts := 1; ; starts++ {
		began := time.Now()
		proc, err := k.start(k.parent, true)
		if err == nil {
			if err = k.offer(ctx, proc); err == nil {
				starts, pause = 0, 0
				k.waitForStart(ctx, proc)
				continue
			}
		}
		if ctx.Err() != nil {
			return
		}
		pause = backoff(pause, time.Since(began), starts)
		k.parent.Logger.Warn("no spare worker; retrying", "worker", k.Name, "error", err, "pause", pause.String())
		for timer := time.After(pause); timer != nil; {
			select {
			case <-timer:
				timer = nil
			case reply := <-k.spares:
				reply <- nil
			case <-ctx.Done():
				return
			}
		}
	}
}

// offer waits until the spare is requested, and returns it. The error means that it has ended.
func (k *keeper) offer(ctx context.Context, proc *process) error {
	for {
		select {
		case reply := <-k.spares:
			select {
			case <-proc.prepared:
				reply <- proc
				return nil
			default:
				reply <- nil
			}
		case <-proc.done:
			return proc.err
		case <-ctx.Done():
			proc.discard()
			return ctx.Err()
		}
	}
}

// waitForStart gives an activated process time to begin.
func (k *keeper) waitForStart(ctx context.Context, proc *process) {
	ready := proc.ready
	for timeout := time.After(beginTimeout); ; {
		select {
		case <-ready:
			ready, timeout = nil, time.After(settleTime)
		case <-timeout:
			return
		case <-proc.done:
			return
		case <-ctx.Done():
			return
		case reply := <-k.spares:
			reply <- nil
		}
	}
}
