package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

func serve(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("take a command: %w", err)
		}
		go func() {
			defer conn.Close()
			r, w := bufio.NewReader(conn), guest.NewWriter(conn)
			first, err := guest.ReadFrame(r)
			if err == nil && first.Type == guest.FramePowerOff {
				endAll()
				// Init detects the worker's exit and powers the machine off.
				os.Exit(0)
			}
			// The lab detects a lost connection; nothing else can be done about a failed write.
			_ = w.WriteJSON(guest.FrameExit, run(first, r, w))
		}()
	}
}

// run runs the command of one connection until it exits.
func run(first guest.Frame, r io.Reader, w *guest.Writer) guest.Exit {
	cmd, err := parseCommand(first)
	if err != nil {
		return guest.Exit{Code: -1, Error: err.Error()}
	}
	cmd.Stdout, cmd.Stderr = w.Stream(guest.FrameStdout), w.Stream(guest.FrameStderr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return guest.Exit{Code: -1, Error: err.Error()}
	}
	if err := cmd.Start(); err != nil {
		return guest.Exit{Code: -1, Error: err.Error()}
	}
	if err := w.Write(guest.FrameStarted, nil); err != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var ended atomic.Bool
	go forward(r, stdin, func(sig syscall.Signal) {
		// Once the leader has been waited for, its process group ID may be reused.
		if !ended.Load() {
			_ = syscall.Kill(-cmd.Process.Pid, sig)
		}
	})
	err = cmd.Wait()
	ended.Store(true)
	return exitOf(err)
}

func parseCommand(f guest.Frame) (*exec.Cmd, error) {
	var c guest.Command
	err := json.Unmarshal(f.Payload, &c)
	if err == nil && len(c.Argv) == 0 {
		err = errors.New("it names no program")
	}
	if err != nil {
		return nil, fmt.Errorf("parse command %q: %w", f.Payload, err)
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = guest.OutputDelay
	return cmd, nil
}

// forward forwards input and signals to the command, and kills it when the connection ends.
func forward(r io.Reader, stdin io.WriteCloser, signal func(syscall.Signal)) {
	defer stdin.Close()
	for {
		f, err := guest.ReadFrame(r)
		if err != nil {
			signal(syscall.SIGKILL)
			return
		}
		switch {
		case f.Type == guest.FrameStdin && len(f.Payload) == 0:
			_ = stdin.Close()
		case f.Type == guest.FrameStdin:
			// An error means that the program has closed its input.
			_, _ = stdin.Write(f.Payload)
		case f.Type == guest.FrameSignal && len(f.Payload) == 1:
			signal(syscall.Signal(f.Payload[0]))
		}
	}
}

func exitOf(err error) guest.Exit {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return guest.Exit{}
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return guest.Exit{Code: -1, Error: err.Error()}
	}
	out := guest.Exit{Code: exit.ExitCode()}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		out.Signal = int(status.Signal())
	}
	return out
}
