package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one process of a worker. It prepares itself and waits until it is given its turn.
type process struct {
	name  string
	cmd   *exec.Cmd
	turn  *os.File // written to when it is its turn
	ready *os.File // read from
	words atomic.Int64
	done  chan error
}

// What is written into the turn pipe.
const (
	turnFirst     = 'f'
	turnRestarted = 'r'
)

// What comes through the ready pipe.
const (
	readyWord = "ready\n"
	aliveWord = "."
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
	parent.setTurn(p.name, p.pid())
	go p.listen(parent)
	return nil
}

// listen counts what the process says.
func (p *process) listen(parent *Parent) {
	defer p.ready.Close()
	first := make([]byte, len(readyWord))
	if _, err := io.ReadFull(p.ready, first); err != nil || string(first) != readyWord {
		return
	}
	parent.setReady(p.name, p.pid())
	word := make([]byte, 64)
	for {
		p.words.Add(1)
		if _, err := p.ready.Read(word); err != nil {
			return
		}
	}
}

// looks is how often in a row the parent looks in vain for a word of a worker before it is out of patience. Looks are
// counted rather than time measured, which passes for all at once when a virtual machine was paused.
const looks = 5

// wait waits for the end. When ctx ends it asks the process to stop, and kills it after stopTimeout. A process that was
// ready and has said nothing for as long as patience is killed; patience 0 is endless.
func (p *process) wait(ctx context.Context, patience time.Duration, log *slog.Logger) error {
	var look <-chan time.Time
	if patience > 0 {
		ticker := time.NewTicker(patience / looks)
		defer ticker.Stop()
		look = ticker.C
	}
	heard, silent := int64(0), 0
	for {
		select {
		case err := <-p.done:
			return ended(err)
		case <-ctx.Done():
			return p.stop(log)
		case <-look:
			words := p.words.Load()
			if silent++; words == 0 || words != heard {
				heard, silent = words, 0
			}
			if silent == looks {
				log.Error("worker hangs; it is replaced, and what it hung in is logged: please report that", "pid", p.pid(), "silent_for", patience.String())
				return fmt.Errorf("hung for %v: %w", patience, ended(p.end(syscall.SIGQUIT, tracebackTimeout)))
			}
		}
	}
}

// tracebackTimeout is how long a hung worker may take to say where it hangs, as Go programs do at SIGQUIT.
const tracebackTimeout = time.Second

// stop asks the process to stop.
func (p *process) stop(log *slog.Logger) error {
	stopping := time.AfterFunc(stopTimeout, func() { log.Error("worker does not stop; killing it", "after", stopTimeout.String()) })
	defer stopping.Stop()
	return p.end(syscall.SIGTERM, stopTimeout)
}

// end sends a signal, and kills what has not ended after a while.
func (p *process) end(s syscall.Signal, after time.Duration) error {
	_ = p.cmd.Process.Signal(s) // it may have ended just now
	select {
	case err := <-p.done:
		return err
	case <-time.After(after):
		_ = p.cmd.Process.Kill()
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
