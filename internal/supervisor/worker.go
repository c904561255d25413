package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Worker is a process that the parent keeps running.
type Worker struct {
	Name  string
	Args  []string   // of this binary
	Files []*os.File // inherited as descriptors 4, 5, …; 3 is the pipe on which it says "ready"
}

// RestartedEnv is in the environment of a worker that replaces one that ended unexpectedly.
const RestartedEnv = "LVS_HA_RESTARTED"

// readyFD is where a worker says that it is ready.
const readyFD = 3

// FirstFile is the descriptor number of a worker's first inherited file.
const FirstFile = readyFD + 1

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
	var pause time.Duration
	for starts := 1; ; starts++ {
		began := time.Now()
		proc, err := w.start(p, starts > 1, log)
		if err != nil {
			log.Error("worker does not start", "error", err)
		} else {
			err = w.wait(ctx, proc, log)
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

func (w *Worker) start(p *Parent, restarted bool, log *slog.Logger) (*exec.Cmd, error) {
	r, pw, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making the %s's ready pipe: %w", w.Name, err)
	}
	defer pw.Close()
	cmd := exec.Command(p.Binary, w.Args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = append([]*os.File{pw}, w.Files...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", parentEnv, os.Getpid()))
	if restarted {
		cmd.Env = append(cmd.Env, RestartedEnv+"=1")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, fmt.Errorf("starting the %s: %w", w.Name, err)
	}
	log.Info("worker started", "pid", cmd.Process.Pid, "restarted", restarted)
	p.setPID(w.Name, cmd.Process.Pid)
	go func() {
		defer r.Close()
		if line, err := bufio.NewReader(io.LimitReader(r, 64)).ReadString('\n'); err == nil && line == "ready\n" {
			p.setReady(w.Name)
		}
	}()
	return cmd, nil
}

// wait waits for the worker's end. When ctx ends it asks the worker to stop, and kills it after stopTimeout.
func (w *Worker) wait(ctx context.Context, cmd *exec.Cmd, log *slog.Logger) error {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err == nil {
			err = fmt.Errorf("ended by itself with status 0")
		}
		return err
	case <-ctx.Done():
	}
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-done:
		return err
	case <-time.After(stopTimeout):
		log.Error("worker does not stop; killing it", "after", stopTimeout.String())
		cmd.Process.Kill()
		return <-done
	}
}

func exitStatus(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}
