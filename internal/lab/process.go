package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// Result is the output and the exit status of a program.
type Result struct {
	Stdout, Stderr []byte
	ExitCode       int // -1 if ended by a signal
}

// Command is a program to run on a director.
type Command struct {
	Argv   []string
	Env    []string // added to the existing environment
	Dir    string
	Stdin  io.Reader
	Stdout io.Writer // nil to discard
	Stderr io.Writer // nil to discard
}

// Process is a program that runs on a director.
type Process struct {
	signal func(syscall.Signal) error
	done   chan struct{}

	mu   sync.Mutex
	code int
	err  error
}

// Done is closed when the program has ended, or its director has.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end and returns the exit status, -1 if a signal ended the program, or an error if there is none.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.code, p.err
	case <-ctx.Done():
		return -1, fmt.Errorf("wait for program: %w", context.Cause(ctx))
	}
}

// Signal sends a signal to the program's process group.
func (p *Process) Signal(sig syscall.Signal) error { return p.signal(sig) }

func (p *Process) finish(code int, err error) {
	p.mu.Lock()
	p.code, p.err = code, err
	p.mu.Unlock()
	close(p.done)
}

// runRemote runs a command through a guest's agent. The connection is closed at the end.
func runRemote(conn net.Conn, c Command) (*Process, error) {
	w := guest.NewWriter(conn)
	if err := w.WriteJSON(guest.FrameCommand, guest.Command{Argv: c.Argv, Env: c.Env, Dir: c.Dir}); err != nil {
		return nil, errors.Join(fmt.Errorf("send command: %w", err), conn.Close())
	}
	first, err := guest.ReadFrame(conn)
	if err == nil && first.Type == guest.FrameExit {
		_, err = parseExit(first.Payload)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run %v: %w", c.Argv, err), conn.Close())
	}
	p := &Process{done: make(chan struct{})}
	p.signal = func(sig syscall.Signal) error { return w.Write(guest.FrameSignal, []byte{byte(sig)}) }
	go sendInput(w, c.Stdin)
	go func() {
		code, err := receive(conn, c)
		if err != nil {
			err = fmt.Errorf("run %v: %w", c.Argv, err)
		}
		_ = conn.Close()
		p.finish(code, err)
	}()
	return p, nil
}

// sendInput sends all input and its end. A broken connection is detected when the output is read.
func sendInput(w *guest.Writer, stdin io.Reader) {
	if stdin != nil {
		_, _ = io.Copy(w.Stream(guest.FrameStdin), stdin)
	}
	_ = w.Write(guest.FrameStdin, nil)
}

func receive(r io.Reader, c Command) (int, error) {
	stdout, stderr := c.Stdout, c.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	for {
		f, err := guest.ReadFrame(r)
		if err != nil {
			return -1, fmt.Errorf("its machine went away: %w", err)
		}
		switch f.Type {
		case guest.FrameStdout:
			_, err = stdout.Write(f.Payload)
		case guest.FrameStderr:
			_, err = stderr.Write(f.Payload)
		case guest.FrameExit:
			return parseExit(f.Payload)
		}
		if err != nil {
			return -1, fmt.Errorf("take output: %w", err)
		}
	}
}

func parseExit(payload []byte) (int, error) {
	var e guest.Exit
	if err := json.Unmarshal(payload, &e); err != nil {
		return -1, fmt.Errorf("parse exit status: %w", err)
	}
	if e.Error != "" {
		return -1, errors.New(e.Error)
	}
	return e.Code, nil
}

// run runs a command to completion through start and collects its output.
func run(ctx context.Context, start func(context.Context, Command) (*Process, error), c Command) (Result, error) {
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	p, err := start(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return Result{ExitCode: -1}, err
	}
	// The context ends the program, so that its output is complete when Done is closed.
	<-p.Done()
	code, err := p.Wait(context.WithoutCancel(ctx))
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return Result{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), ExitCode: code}, err
}
