package supervisor

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Worker is a process that the parent keeps running.
type Worker struct {
	Name     string
	Args     []string      // of this binary
	Files    []*os.File    // see Inherited
	Spare    bool          // keep another process started, prepared and waiting for its turn
	Patience time.Duration // kill a process that was ready and says nothing for so long, several AliveIntervals; 0: never
}

// Back-off between starts of a worker that keeps ending. The first restart is immediate: at 100 ms adverts the peers
// wait only 300 ms.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 5 * time.Second
	steadyAfter  = 10 * time.Second // having run so long, a worker has earned an immediate restart again
)

// backoff is the pause before the next start, after a worker that ran for ran and was given pause before that.
func backoff(pause, ran time.Duration, starts int) time.Duration {
	switch {
	case ran >= steadyAfter || starts <= 1:
		return 0
	case pause == 0:
		return backoffFirst
	default:
		return min(2*pause, backoffMax)
	}
}

// ExitRefused is the exit status of a worker that must not be started again as it is: its configuration is bad.
const ExitRefused = 78 // EX_CONFIG of sysexits.h

// RefusedError says that a worker's first start ended with ExitRefused. It has said why on stderr.
type RefusedError struct{ Worker string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the %s refused its configuration", e.Worker)
}

// keep runs the worker until ctx ends, again and again. The calling goroutine must be locked to an OS thread that
// lives as long as the parent, since the kernel ties a worker's parent-death signal to the thread that started it.
func (w *Worker) keep(ctx context.Context, p *Parent) error {
	log := p.Logger.With("worker", w.Name)
	var spare *process
	defer func() {
		if spare != nil {
			spare.discard()
		}
	}()
	var pause time.Duration
	for starts := 1; ; starts++ {
		began := time.Now()
		now := spare
		spare = nil
		err := w.turn(p, &now, starts > 1)
		if err == nil {
			log.Info("worker started", "pid", now.pid(), "restarted", starts > 1)
			if w.Spare {
				if spare, err = w.start(p); err != nil {
					log.Warn("no spare worker", "error", err)
				}
			}
			err = now.wait(ctx, w.Patience, log)
			p.setTurn(w.Name, 0)
			if ctx.Err() != nil {
				return nil
			}
			if starts == 1 && exitStatus(err) == ExitRefused {
				return &RefusedError{w.Name}
			}
		}
		pause = backoff(pause, time.Since(began), starts)
		log.Error("worker ended; starting it again", "error", err, "pause", pause.String(), "starts", starts)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// turn gives the spare its turn, or, without one that lives, a new process.
func (w *Worker) turn(p *Parent, proc **process, restarted bool) error {
	if *proc != nil && (*proc).begin(p, restarted) == nil {
		return nil
	}
	fresh, err := w.start(p)
	if err != nil {
		return err
	}
	*proc = fresh
	return fresh.begin(p, restarted)
}
