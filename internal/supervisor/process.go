package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is one process of a worker. It prepares itself and waits until it is given its turn.
type process struct {
	name  string
	cmd   *exec.Cmd
	turn  *os.File // written to when it is its turn
	ready *os.File // read from
	done  chan error
}

// What is written into the turn pipe.
const (
	turnFirst     = 'f'
	turnRestarted = 'r'
)

func (w *Worker) start(p *Parent) (*process, error) {
	fail := func(err error) (*process, error) { return nil, fmt.Errorf("starting the %s: %w", w.Name, err) }
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer readyW.Close()
	turnR, turnW, err := os.Pipe()
	if err != nil {
		readyR.Close()
		return fail(err)
	}
	defer turnR.Close()
	cmd := exec.Command(p.Binary, w.Args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = append([]*os.File{readyW, turnR}, w.Files...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", parentEnv, os.Getpid()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		readyR.Close()
		turnW.Close()
		return fail(err)
	}
	proc := &process{name: w.Name, cmd: cmd, turn: turnW, ready: readyR, done: make(chan error, 1)}
	go func() { proc.done <- cmd.Wait() }()
	return proc, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// begin gives the process its turn. An error means that it has ended.
func (p *process) begin(parent *Parent, restarted bool) error {
	word := byte(turnFirst)
	if restarted {
		word = turnRestarted
	}
	defer p.turn.Close()
	select {
	case err := <-p.done:
		p.ready.Close()
		return fmt.Errorf("the %s ended before its turn: %w", p.name, ended(err))
	default:
	}
	if _, err := p.turn.Write([]byte{word}); err != nil {
		p.ready.Close()
		return fmt.Errorf("giving the %s its turn: %w", p.name, err)
	}
	parent.setPID(p.name, p.pid())
	go func() {
		defer p.ready.Close()
		if line, err := bufio.NewReader(io.LimitReader(p.ready, 64)).ReadString('\n'); err == nil && line == "ready\n" {
			parent.setReady(p.name, p.pid())
		}
	}()
	return nil
}

// wait waits for the end. When ctx ends it asks the process to stop, and kills it after stopTimeout.
func (p *process) wait(ctx context.Context, log *slog.Logger) error {
	select {
	case err := <-p.done:
		return ended(err)
	case <-ctx.Done():
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopTimeout):
		log.Error("worker does not stop; killing it", "after", stopTimeout.String())
		p.cmd.Process.Kill()
		return <-p.done
	}
}

// discard ends a process whose turn did not come.
func (p *process) discard() {
	p.turn.Close()
	p.ready.Close()
	p.cmd.Process.Kill()
	<-p.done
}

func ended(err error) error {
	if err == nil {
		return errors.New("ended by itself with status 0")
	}
	return err
}

func exitStatus(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}
