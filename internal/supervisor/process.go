package supervisor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/capability"
	"golang.org/x/sys/unix"
)

// process is one process of a worker. It prepares itself and waits to be activated.
type process struct {
	*Worker
	cmd    *exec.Cmd
	conn   *os.File // to its ParentLink; closed when the process ends
	stored *store
	log    *slog.Logger

	prepared chan struct{} // each closed when the process reports it
	begun    chan struct{}
	ready    chan struct{}

	hung atomic.Bool   // ended because it was unresponsive
	done chan struct{} // closed when it has ended, with err
	err  error
}

// start starts a process of the worker with the capabilities that it needs.
func (w *Worker) start(p *Parent, restarted bool) (*process, error) {
	fail := func(err error) (*process, error) { return nil, fmt.Errorf("starting the %s: %w", w.Name, err) }
	capabilities, err := permitted()
	if err != nil {
		return fail(err)
	}
	text, err := json.Marshal(startup{Program: p.Program, Capabilities: capabilities, Body: w.Private})
	if err != nil {
		return fail(err)
	}
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	link := os.NewFile(uintptr(sockets[1]), "link")
	defer link.Close()
	if err := unix.SetNonblock(sockets[0], true); err != nil {
		unix.Close(sockets[0])
		return fail(err)
	}
	proc := &process{
		Worker: w, conn: os.NewFile(uintptr(sockets[0]), "worker"), stored: p.stored[w.Name], log: p.Logger.With("worker", w.Name),
		prepared: make(chan struct{}), begun: make(chan struct{}), ready: make(chan struct{}), done: make(chan struct{}),
	}
	startupR, startupW, err := os.Pipe()
	if err != nil {
		proc.conn.Close()
		return fail(err)
	}
	defer startupR.Close()
	cmd := exec.Command(p.program, w.Args...)
	cmd.Args[0] = p.Binary
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{link, startupR}
	how := workerFirst
	if restarted {
		how = workerRestarted
	}
	cmd.Env = append(w.Environment[:len(w.Environment):len(w.Environment)], workerEnv+"="+how)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	proc.cmd = cmd
	if err := p.startChild(cmd, w.Capabilities); err != nil {
		proc.conn.Close()
		startupW.Close()
		return fail(err)
	}
	go func() { // the message may exceed the pipe's capacity
		defer startupW.Close()
		_, _ = startupW.Write(text) // a worker that does not read it fails
	}()
	go func() {
		proc.await()
		p.forgetChild(proc.pid())
	}()
	go proc.listen(p)
	return proc, nil
}

// ownProgram is the program of this process, also after another version was installed under its path: all processes have the
// same version.
const ownProgram = "/proc/self/exe"

// startChild starts a worker's process, but not during a handover: the process would inherit what is passed on, and the other version
// would not know of it.
func (p *Parent) startChild(cmd *exec.Cmd, keep Capabilities) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := startRestricted(cmd, keep)
	if err == nil {
		p.children[cmd.Process.Pid] = true
	}
	return err
}

// startRestricted starts a program with at most the given capabilities.
func startRestricted(cmd *exec.Cmd, keep Capabilities) error {
	started := make(chan error, 1)
	capability.OnOwnThread(func() {
		err := restrictThread(keep)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	})
	return <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) await() {
	p.err = ended(p.cmd.Wait())
	if p.hung.Load() {
		p.err = fmt.Errorf("hung for %v: %w", p.Patience, p.err)
	}
	close(p.done)
}

// begin activates the process and passes it its files.
func (p *process) begin(files []*os.File) error {
	fail := func(err error) error { return fmt.Errorf("activating the %s: %w", p.Name, err) }
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return fail(err)
	}
	p.setSessionNice()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	var failure error
	err = raw.Control(func(fd uintptr) { failure = p.stored.activate(int(fd), fds) })
	if err = errors.Join(err, failure); err != nil {
		return fail(err)
	}
	return nil
}

// listen handles the process's messages until it ends, and ends it if it has sent none for as long as its patience.
func (p *process) listen(parent *Parent) {
	defer p.conn.Close()
	once := func(c chan struct{}) bool {
		select {
		case <-c:
			return false
		default:
			close(c)
			return true
		}
	}
	for silent := 0; ; {
		if p.Patience > 0 && !p.hung.Load() {
			_ = p.conn.SetReadDeadline(time.Now().Add(p.Patience / pauses)) // of a connection that is open
		}
		message, fds, err := receive(p.conn, 1)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if silent++; silent == pauses {
				_ = p.conn.SetReadDeadline(time.Time{})
				p.hung.Store(true)
				go p.endHung()
			}
			continue
		}
		if len(message) == 0 || err != nil {
			return
		}
		silent = 0
		kept := false
		switch name := string(message[1:]); message[0] {
		case messageStore:
			kept = len(fds) == 1 && p.Stores && p.stored.put(name, fds[0])
		case messageDrop:
			p.stored.drop(name)
		case messagePrepared:
			once(p.prepared)
		case messageBegun:
			once(p.begun)
		case messageReady:
			if once(p.ready) {
				parent.setReady()
			}
		case messageReloaded:
			parent.setReloaded(p)
		}
		for i := 0; i < len(fds) && !kept; i++ {
			unix.Close(fds[i])
		}
	}
}

// pauses is the number of pauses without a message that a worker's patience allows. They are counted, because the time that a
// virtual machine is paused would pass at once. Each is longer than AliveInterval, so that a timer seldom wakes this process.
const pauses = 4

// endHung ends a process that is silent.
func (p *process) endHung() {
	select {
	case <-p.done:
		return
	default:
	}
	p.log.Error("worker unresponsive; restarting it (its goroutine dump follows: please report it)", "pid", p.pid(), "silent_for", p.Patience.String())
	p.end(syscall.SIGQUIT, tracebackTimeout)
}

// tracebackTimeout limits the time for a hung worker to print its goroutines, as Go programs do on SIGQUIT.
const tracebackTimeout = time.Second

// stop asks the process to stop.
func (p *process) stop() {
	limit := cmp.Or(p.StopTimeout, stopTimeout)
	stopping := time.AfterFunc(limit, func() { p.log.Error("worker did not stop in time; killing it", "after", limit.String()) })
	defer stopping.Stop()
	p.end(syscall.SIGTERM, limit)
}

// end sends a signal, kills the process if it does not end in time, and waits for the end.
func (p *process) end(s syscall.Signal, after time.Duration) {
	_ = p.cmd.Process.Signal(s) // it may already have ended
	select {
	case <-p.done:
	case <-time.After(after):
		p.discard()
	}
}

// discard kills the process.
func (p *process) discard() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func ended(err error) error {
	if err == nil {
		return errors.New("exited unexpectedly with status 0")
	}
	return err
}

func exitStatus(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}
