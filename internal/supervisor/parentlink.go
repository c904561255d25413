package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The descriptors that a worker inherits.
const (
	linkFD    = 3 // a SOCK_SEQPACKET socket to the parent; it reads end of file when the parent has died
	startupFD = 4 // a pipe with the startup message
)

// The environment variables that mark a worker process.
const (
	workerEnv       = "LVS_HA_WORKER"
	workerFirst     = "first"
	workerRestarted = "restarted"
)

// The messages from a worker to its parent, one byte each.
const (
	messagePrepared = 'p'
	messageBegun    = 'b' // activated
	messageReady    = 'r'
	messageAlive    = '.'
	messageReloaded = 'l' // the reload requested with SIGHUP has ended
	messageStore    = 's' // with a name and a file
	messageDrop     = 'd' // with a name
)

// AliveInterval is the interval of a worker's alive messages.
const AliveInterval = time.Second

// orphanGrace is how long a worker continues after its parent's death, so that the next parent can take over without
// interruption: systemd starts it after 100 ms (systemd.service(5), RestartSec=).
const orphanGrace = 5 * time.Second

// startup is a worker's private startup message: other users can read its command line in /proc.
type startup struct {
	Program      string // see role
	Capabilities Capabilities
	Body         any
}

// ParentLink is a worker's connection to its parent.
type ParentLink struct {
	Restarted    bool         // it replaces a worker that ended unexpectedly, or whose parent did
	Capabilities Capabilities // the parent's, which it could give to its workers

	// Stored are the descriptors that the process before stored, by name. AwaitActivation sets it.
	Stored map[string]int

	log   *slog.Logger
	role  role
	conn  *os.File
	ready sync.Once
}

// Attach connects a worker to its parent when it starts. It decodes the worker's Private values into body.
func Attach(name string, log *slog.Logger, body any) (*ParentLink, error) {
	how := os.Getenv(workerEnv)
	if how != workerFirst && how != workerRestarted {
		return nil, fmt.Errorf("%s is not set: this command is started by `lvs-ha run`, not by hand", workerEnv)
	}
	nameProcess()
	syscall.CloseOnExec(linkFD)
	if err := syscall.SetNonblock(linkFD, true); err != nil {
		return nil, fmt.Errorf("connecting to the parent: %w", err)
	}
	file := os.NewFile(startupFD, "startup")
	defer file.Close()
	l := startup{Body: body}
	if err := json.NewDecoder(file).Decode(&l); err != nil {
		return nil, fmt.Errorf("reading the parent's startup message: %w", err)
	}
	return &ParentLink{
		Restarted: how == workerRestarted, Capabilities: l.Capabilities,
		log: log, role: role{l.Program, name}, conn: os.NewFile(linkFD, "parent"),
	}, nil
}

// ErrNotActivated means that a spare will not be activated: the parent is stopping or has died.
var ErrNotActivated = errors.New("the parent is stopping")

// AwaitActivation tells the parent that this worker is prepared, and waits for activation. From then on it is the only
// one of its role in this network namespace. It returns the files that the parent passes. stop is called if the parent
// has died and no other has taken over within orphanGrace.
func (s *ParentLink) AwaitActivation(ctx context.Context, stop func()) ([]*os.File, error) {
	s.send(messagePrepared)
	came := make(chan activation, 1)
	go func() { came <- receiveActivation(s.conn) }()
	alive := time.NewTicker(AliveInterval)
	defer alive.Stop()
	for {
		select {
		case <-alive.C:
			s.send(messageAlive)
		case t := <-came:
			if t.err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNotActivated, t.err)
			}
			s.send(messageBegun)
			if _, err := s.role.acquire(s.log); err != nil { // until this process ends
				return nil, err
			}
			go s.watchParent(ctx, stop)
			s.Stored = t.stored
			return t.files, nil
		case <-ctx.Done():
			return nil, ErrNotActivated
		}
	}
}

// watchParent waits for the parent's death. The next parent kills this process as soon as its own worker is prepared,
// which continues from the current state; until then nothing is undone.
func (s *ParentLink) watchParent(ctx context.Context, stop func()) {
	if _, err := s.conn.Read(make([]byte, 1)); err == nil {
		s.log.Error("unexpected message from the parent process")
	}
	s.log.Error("parent process died; continuing until another takes over", "stopping_after", orphanGrace.String())
	select {
	case <-ctx.Done():
	case <-time.After(orphanGrace):
		s.log.Error("no other parent process took over; stopping")
		stop()
	}
	// No parent is left to end a worker that hangs.
	time.AfterFunc(stopTimeout, func() {
		s.log.Error("did not stop in time; exiting", "timeout", stopTimeout.String())
		os.Exit(1)
	})
}

// Ready tells the parent that this worker is ready.
func (s *ParentLink) Ready() { s.ready.Do(func() { s.send(messageReady) }) }

// Alive tells the parent that this worker is not stuck. Call it from the loop that could hang.
func (s *ParentLink) Alive() { s.send(messageAlive) }

// Reloaded tells the parent that a reload has ended, successfully or not.
func (s *ParentLink) Reloaded() { s.send(messageReloaded) }

// Store passes the parent a duplicate of a descriptor, which the next process of this worker finds in Stored.
func (s *ParentLink) Store(name string, fd int) error {
	message := append([]byte{messageStore}, name...)
	err := unix.Sendmsg(linkFD, message, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	return os.NewSyscallError("sendmsg", err)
}

// Drop makes the parent close what was stored under a name.
func (s *ParentLink) Drop(name string) {
	_, _ = syscall.Write(linkFD, append([]byte{messageDrop}, name...))
}

// send does not block: a parent that does not read must not stop its workers.
func (s *ParentLink) send(message byte) {
	_, _ = syscall.Write(linkFD, []byte{message}) // there is no other way to report it
}

// maxFiles limits the files passed with an activation, besides the stored ones.
const maxFiles = 8

// activation is what the parent passes to a process that it activates.
type activation struct {
	files  []*os.File
	stored map[string]int
	err    error
}

const nameSeparator = "\x00"

// activate sends an activation with its files: those of the worker, and the stored ones.
func (s *store) activate(conn int, files []int) error {
	return s.use(func(names []string, fds []int) error {
		message := "t" + strings.Join(names, nameSeparator)
		return unix.Sendmsg(conn, []byte(message), unix.UnixRights(append(files, fds...)...), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	})
}

// receiveActivation waits for the activation and its files.
func receiveActivation(conn *os.File) (a activation) {
	message, fds, err := receive(conn, maxFiles+maxStored)
	if err != nil {
		return activation{err: err}
	}
	if len(message) == 0 {
		return activation{err: errors.New("the parent has closed the connection")}
	}
	var names []string
	if len(message) > 1 {
		names = strings.Split(string(message[1:]), nameSeparator)
	}
	if len(fds) <= len(names) {
		return activation{err: fmt.Errorf("activation with %d files instead of more than %d", len(fds), len(names))}
	}
	own := len(fds) - len(names)
	for _, fd := range fds[:own] {
		a.files = append(a.files, os.NewFile(uintptr(fd), "passed"))
	}
	a.stored = map[string]int{}
	for i, name := range names {
		a.stored[name] = fds[own+i]
	}
	return a
}

// receive waits for a message and the descriptors that come with it. At the end of the connection, both are empty.
func receive(conn *os.File, maxFiles int) (message []byte, fds []int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	message, control := make([]byte, 1+maxFiles*(maxStoredName+1)), make([]byte, unix.CmsgSpace(4*maxFiles))
	var n, controlled int
	var failure error
	err = raw.Read(func(fd uintptr) bool {
		n, controlled, _, _, failure = unix.Recvmsg(int(fd), message, control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		return failure != unix.EAGAIN && failure != unix.EINTR
	})
	if err = errors.Join(err, failure); err != nil {
		return nil, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:controlled])
	for i := 0; i < len(messages) && err == nil; i++ {
		var some []int
		some, err = unix.ParseUnixRights(&messages[i])
		fds = append(fds, some...)
	}
	return message[:n], fds, err
}
