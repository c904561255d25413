package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a command that has been started.
type process struct {
	pid    int
	pidfd  *os.File
	output *os.File

	mu       sync.Mutex
	gone     bool // reaped; its process ID may be reused
	timedOut bool
}

func newProcess(pid, pidfd int, output *os.File) (*process, error) {
	p := &process{pid: pid, output: output}
	err := error(syscall.ENOSYS)
	if pidfd >= 0 {
		err = unix.SetNonblock(pidfd, true)
	}
	if err != nil {
		p.signal(unix.SIGKILL)
		_, _ = p.reap()
		output.Close()
		return nil, fmt.Errorf("watching a script's process (Linux 5.4 or later is needed): %w", err)
	}
	p.pidfd = os.NewFile(uintptr(pidfd), "pidfd") // nonblocking, so that waiting uses Go's poller instead of a thread
	return p, nil
}

// leftoverDelay is how long processes left by a command may run while they have its output open, such as a logger that
// reads the command's last output.
const leftoverDelay = 500 * time.Millisecond

// wait waits until the process has exited, and kills it when ctx ends.
func (p *process) wait(ctx context.Context) Result {
	defer p.pidfd.Close()
	defer p.output.Close()
	var kill *time.Timer
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.gone {
			return
		}
		p.timedOut = context.Cause(ctx) == errTimedOut
		p.signal(unix.SIGTERM)
		kill = time.AfterFunc(killDelay, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.signal(unix.SIGKILL)
		})
	})
	var kept excerpt
	read := make(chan struct{})
	go func() {
		defer close(read)
		kept.readAll(p.output)
	}()
	waitErr := p.awaitEnd()
	stop()
	select {
	case <-read:
	case <-time.After(leftoverDelay):
	}

	p.mu.Lock()
	p.signal(unix.SIGKILL) // kill the processes that it left; it is still a zombie, so its ID is not reused
	status, reapErr := p.reap()
	p.gone = true
	leftover := unix.Kill(-p.pid, 0) == nil || errors.Is(unix.Kill(-p.pid, 0), unix.EPERM)
	if kill != nil {
		kill.Stop()
	}
	timedOut := p.timedOut
	p.mu.Unlock()

	_ = p.output.SetReadDeadline(time.Unix(1, 0)) // other processes may have its output open
	<-read
	kept.drain(p.output)
	result := Result{ExitCode: -1, TimedOut: timedOut, Leftover: leftover, Output: kept.bytes, Truncated: kept.truncated}
	switch {
	case waitErr != nil || reapErr != nil:
		result.NotRun = fmt.Errorf("waiting for process %d: %w", p.pid, errors.Join(waitErr, reapErr))
	case status.Exited():
		result.ExitCode = status.ExitStatus()
	case status.Signaled():
		result.Signal = status.Signal()
	}
	return result
}

// signal sends a signal to all processes of the group. The caller holds mu.
func (p *process) signal(s syscall.Signal) {
	if p.gone {
		return
	}
	_ = withCapabilities(func() error { return unix.Kill(-p.pid, s) }) // it may just have exited
}

// awaitEnd waits until the process is a zombie.
func (p *process) awaitEnd() error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var waitErr error
	err = raw.Read(func(fd uintptr) bool {
		var info unix.Siginfo
		waitErr = unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		return waitErr != nil && !errors.Is(waitErr, unix.EINTR) || waitErr == nil && info.Signo != 0
	})
	return errors.Join(err, waitErr)
}

func (p *process) reap() (syscall.WaitStatus, error) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(p.pid, &status, 0, nil)
		if err != syscall.EINTR {
			return status, err
		}
	}
}

// excerpt keeps the beginning and the end of its input.
type excerpt struct {
	bytes     []byte
	truncated bool
}

// headSize is the number of bytes kept at the beginning.
const headSize = 1 << 10

const chunkSize = 16 << 10

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

func (e *excerpt) add(b []byte) {
	if head := min(headSize-len(e.bytes), len(b)); head > 0 {
		e.bytes = append(e.bytes, b[:head]...)
		b = b[head:]
	}
	if over := len(e.bytes) + len(b) - MaxOutput; over > 0 {
		e.truncated = true
		old := min(over, len(e.bytes)-headSize)
		e.bytes = slices.Delete(e.bytes, headSize, headSize+old)
		b = b[max(0, len(b)-(MaxOutput-headSize)):]
	}
	e.bytes = append(e.bytes, b...)
}

// readAll reads until end of file, an error or the file's deadline.
func (e *excerpt) readAll(f *os.File) {
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	for {
		n, err := f.Read(chunk[:])
		e.add(chunk[:n])
		if err != nil {
			return
		}
	}
}

// pipeSize is the default capacity of a pipe (pipe(7)).
const pipeSize = 64 << 10

// drain reads what is available in a pipe, without waiting.
func (e *excerpt) drain(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	chunk := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(chunk)
	_ = raw.Control(func(fd uintptr) {
		for range pipeSize / chunkSize {
			n, err := unix.Read(int(fd), chunk[:])
			if err != nil || n <= 0 {
				return
			}
			e.add(chunk[:n])
		}
	})
}
