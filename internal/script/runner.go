package script

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Runner runs commands, a bounded number of them at a time. It is safe for concurrent use.
type Runner struct {
	slots   chan struct{}
	users   identities
	starter starter
}

// NewRunner returns a Runner that runs at most limit commands at a time. Call Close when no command is running.
func NewRunner(limit int) *Runner {
	return &Runner{slots: make(chan struct{}, limit)}
}

// Close ends the thread that starts commands. Processes started by it are killed.
func (r *Runner) Close() { r.starter.close() }

// Check reports why a command cannot be started here: its user, its path, or its file permissions.
func Check(c Command) error {
	_, _, err := (&Runner{}).prepare(c)
	return err
}

func (r *Runner) prepare(c Command) (identity, string, error) {
	if err := c.valid(); err != nil {
		return identity{}, "", err
	}
	id, err := r.users.find(c.User, c.Group)
	if err != nil {
		return identity{}, "", err
	}
	path, err := c.program(id.uid)
	return id, path, err
}

// Run runs a command and waits for it. At its timeout, or when ctx ends, all processes in its process group get SIGTERM, and
// SIGKILL a second later. When its first process has exited, the others get SIGKILL, after half a second if they have the
// output open. A process that should continue must leave the process group (setsid, systemctl).
//
// Run returns when the first process has exited. A process blocked on an unresponsive file system cannot be killed: a
// caller that needs a result in time must use its own timer.
func (r *Runner) Run(ctx context.Context, c Command) Result {
	notRun := func(err error) Result { return Result{NotRun: err, ExitCode: -1} }
	if err := c.valid(); err != nil {
		return notRun(err)
	}
	if err := r.acquire(ctx, c.Timeout); err != nil {
		return notRun(err)
	}
	defer func() { <-r.slots }()
	began := time.Now()
	deadline, cancel := context.WithDeadlineCause(ctx, began.Add(c.Timeout), errTimedOut)
	defer cancel()
	id, path, err := r.prepare(c)
	if err != nil {
		return notRun(err)
	}
	p, err := r.starter.start(deadline, c, id, path)
	if err != nil {
		return notRun(err)
	}
	result := p.wait(deadline)
	result.Timeout, result.Duration = c.Timeout, time.Since(began)
	return result
}

var errTimedOut = errors.New("the command's timeout")

// acquire waits for a slot.
func (r *Runner) acquire(ctx context.Context, patience time.Duration) error {
	select {
	case r.slots <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-late.C:
		return fmt.Errorf("%d scripts are running already", cap(r.slots))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// starter runs functions on a dedicated thread for its whole lifetime: the kernel kills the processes that a thread has
// started when the thread exits (prctl(2), PR_SET_PDEATHSIG).
type starter struct {
	once   sync.Once
	calls  chan func()
	closed chan struct{}
	err    error // from preparing the thread
}

var errClosed = errors.New("lvs-ha is stopping")

func (s *starter) close() {
	s.once.Do(func() { s.err = errClosed })
	if s.closed != nil {
		close(s.closed)
	}
}
