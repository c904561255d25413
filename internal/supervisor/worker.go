package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Worker is a program that the parent keeps running.
type Worker struct {
	Name         string
	Args         []string // of this binary
	Environment  []string
	Private      any // passed as JSON: values that other users must not see on the command line
	Capabilities Capabilities
	Spare        bool          // keep another process started and prepared for activation
	Stores       bool          // it may store files in the parent for its successors
	Patience     time.Duration // end a process that sends no message for so long, several AliveIntervals; 0: never
	StopTimeout  time.Duration // kill a process that does not stop for so long; 0: stopTimeout
	SessionNice  int           // of the process's session and what it starts, if the kernel schedules by session (autogroup)
}

// Linux lets a process without CAP_SYS_ADMIN set the nice value of a session only 100 ms after anybody else did: EAGAIN.
const (
	sessionRetry = 110 * time.Millisecond
	sessionTries = 50 // other programs may set values too
)

// setSessionNice sets the nice value of the process's session, at once if possible. Not every kernel schedules by session.
func (p *process) setSessionNice() {
	if p.SessionNice == 0 {
		return
	}
	path := fmt.Sprintf("/proc/%d/autogroup", p.pid())
	set := func() error { return os.WriteFile(path, strconv.AppendInt(nil, int64(p.SessionNice), 10), 0) }
	log := func(err error) {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			p.log.Debug("session priority of the worker not set", "error", err)
		}
	}
	if err := set(); errors.Is(err, syscall.EAGAIN) {
		go func() { log(untilAccepted(set, p.done)) }()
	} else {
		log(err)
	}
}

// untilAccepted calls set until it returns another result than EAGAIN. It gives up when ended is closed.
func untilAccepted(set func() error, ended <-chan struct{}) error {
	err := error(syscall.EAGAIN)
	for range sessionTries {
		select {
		case <-ended:
			return err
		case <-time.After(sessionRetry):
		}
		if err = set(); !errors.Is(err, syscall.EAGAIN) {
			break
		}
	}
	return err
}

// Back-off between starts of a worker that keeps ending. The first restart is immediate: at 100 ms adverts, the peers
// wait only 300 ms.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 5 * time.Second
	steadyAfter  = 10 * time.Second // after running so long, a worker is again restarted immediately
)

// backoff returns the pause before the next start, after a worker that ran for ran and was started after pause.
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

// ExitRefused is the exit status of a worker that must not be restarted: its configuration is invalid.
const ExitRefused = 78 // EX_CONFIG of sysexits.h

// RefusedError means that a worker's first start ended with ExitRefused. The worker has printed the reason on stderr.
type RefusedError struct{ Worker string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the %s refused its configuration", e.Worker)
}

// keeper keeps one worker running.
type keeper struct {
	*Worker
	parent    *Parent
	restarted bool
	spares    chan chan *process // see keepSpare; nil: no spare
}

// run keeps the worker running until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	log := k.parent.Logger.With("worker", k.Name)
	var pause time.Duration
	for starts := 1; ; starts++ {
		began := time.Now()
		err := k.live(ctx)
		if ctx.Err() != nil {
			return nil
		}
		onTrial := k.parent.giveUp(fmt.Errorf("its %s ended: %w", k.Name, err))
		if starts == 1 && !onTrial && exitStatus(err) == ExitRefused {
			return &RefusedError{k.Name}
		}
		k.restarted = true
		pause = backoff(pause, time.Since(began), starts)
		log.Error("worker ended; restarting it", "error", err, "pause", pause.String(), "starts", starts)
		k.parent.notify(fmt.Sprintf("STATUS=Restarting the %s.", k.Name))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// live activates a process and waits for its end. When ctx ends, it stops the process.
func (k *keeper) live(ctx context.Context) error {
	proc, err := k.beginSpare(ctx)
	if proc == nil && err == nil {
		proc, err = k.beginFresh(ctx)
	}
	if err != nil {
		return err
	}
	k.parent.setActive(k.Name, proc)
	defer k.parent.setActive(k.Name, nil)
	proc.log.Info("worker started", "pid", proc.pid(), "restarted", k.restarted)
	if k.Spare && k.spares == nil {
		k.spares = make(chan chan *process)
		go k.keepSpare(ctx, proc)
	}
	select {
	case <-proc.done:
		return proc.err
	case <-ctx.Done():
		proc.stop()
		return nil
	}
}

// beginFresh starts a process and activates it when it is prepared.
func (k *keeper) beginFresh(ctx context.Context) (*process, error) {
	proc, err := k.start(k.parent, k.restarted)
	if err != nil {
		return nil, err
	}
	if err := proc.until(ctx, proc.prepared); err != nil {
		return nil, err
	}
	k.parent.setPrepared(k.Name)
	if err := proc.until(ctx, k.parent.opened); err != nil {
		return nil, err
	}
	if err := proc.begin(k.parent.files[k.Name]); err != nil {
		proc.discard()
		return nil, err
	}
	return proc, nil
}

// until waits for an event. If ctx ends first, the process is ended.
func (p *process) until(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-p.done:
		return p.err
	case <-ctx.Done():
		p.discard()
		return ctx.Err()
	}
}
