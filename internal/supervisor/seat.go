package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The descriptors that a worker inherits.
const (
	seatFD   = 3 // a SOCK_SEQPACKET socket to the parent; it reads end of file when the parent has died
	letterFD = 4 // a pipe with a letter
)

// The environment variables that mark a worker process.
const (
	workerEnv       = "LVS_HA_WORKER"
	workerFirst     = "first"
	workerRestarted = "restarted"
)

// What a worker says to its parent, a byte a message.
const (
	wordPrepared = 'p'
	wordBegun    = 'b' // it is activated
	wordReady    = 'r'
	wordAlive    = '.'
	wordReloaded = 'l' // the reload that SIGHUP asked for is over
)

// AliveInterval is how often a worker says that it is alive.
const AliveInterval = time.Second

// orphanGrace is how long a worker whose parent has died goes on working, so that the next parent can take over without
// an outage: systemd starts it after 100 ms (systemd.service(5), RestartSec=).
const orphanGrace = 5 * time.Second

// letter is a worker's private startup message: other users can read a command line in /proc.
type letter struct {
	Program      string // see role
	Capabilities Capabilities
	Body         any
}

// Seat is a worker's side of its parent.
type Seat struct {
	Restarted    bool         // it replaces a worker that ended unexpectedly, or one whose parent did
	Capabilities Capabilities // that the parent has, and could give to its workers

	log   *slog.Logger
	role  role
	conn  *os.File
	ready sync.Once
}

// Attach is called by a worker when it starts, with its name and where its Letter goes.
func Attach(name string, log *slog.Logger, body any) (*Seat, error) {
	how := os.Getenv(workerEnv)
	if how != workerFirst && how != workerRestarted {
		return nil, fmt.Errorf("%s is not set: this command is started by `lvs-ha run`, not by hand", workerEnv)
	}
	syscall.CloseOnExec(seatFD)
	if err := syscall.SetNonblock(seatFD, true); err != nil {
		return nil, fmt.Errorf("connecting to the parent: %w", err)
	}
	file := os.NewFile(letterFD, "letter")
	defer file.Close()
	l := letter{Body: body}
	if err := json.NewDecoder(file).Decode(&l); err != nil {
		return nil, fmt.Errorf("reading the parent's startup message: %w", err)
	}
	return &Seat{
		Restarted: how == workerRestarted, Capabilities: l.Capabilities,
		log: log, role: role{l.Program, name}, conn: os.NewFile(seatFD, "parent"),
	}, nil
}

// ErrNoTurn says that a worker's turn will not come: it is a spare, and the parent stops or has died.
var ErrNoTurn = errors.New("the parent is stopping")

// Turn tells the parent that this worker is prepared, and waits until it is to work. From then on it is the only one
// of its role in this network namespace. It returns the files that its work needs. stop is called when the parent has
// died and no other has taken over within orphanGrace.
func (s *Seat) Turn(ctx context.Context, stop func()) ([]*os.File, error) {
	s.say(wordPrepared)
	type turn struct {
		files []*os.File
		err   error
	}
	came := make(chan turn, 1)
	go func() {
		files, err := receiveTurn(s.conn)
		came <- turn{files, err}
	}()
	alive := time.NewTicker(AliveInterval)
	defer alive.Stop()
	for {
		select {
		case <-alive.C:
			s.say(wordAlive)
		case t := <-came:
			if t.err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNoTurn, t.err)
			}
			s.say(wordBegun)
			if _, err := s.role.hold(s.log); err != nil { // for the rest of this process's life
				return nil, err
			}
			go s.watchParent(ctx, stop)
			return t.files, nil
		case <-ctx.Done():
			return nil, ErrNoTurn
		}
	}
}

// watchParent waits for the parent's death. The next parent ends this process with SIGKILL as soon as its own worker
// is prepared, which then goes on from what it finds; until then nothing is undone.
func (s *Seat) watchParent(ctx context.Context, stop func()) {
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
	// Nobody else would end a worker that hangs.
	time.AfterFunc(stopTimeout, func() {
		s.log.Error("did not stop in time; exiting", "timeout", stopTimeout.String())
		os.Exit(1)
	})
}

// Ready tells the parent that this worker is ready.
func (s *Seat) Ready() { s.ready.Do(func() { s.say(wordReady) }) }

// Alive tells the parent that this worker is not stuck: it is called from the loop that could hang.
func (s *Seat) Alive() { s.say(wordAlive) }

// Reloaded tells the parent that a reload has ended, successfully or not.
func (s *Seat) Reloaded() { s.say(wordReloaded) }

// say writes without waiting: a parent that does not read must not stop its workers.
func (s *Seat) say(word byte) {
	_, _ = syscall.Write(seatFD, []byte{word}) // there is nowhere else to report it
}

// maxFiles is the most that come with a turn.
const maxFiles = 8

// receiveTurn waits for the turn and the files that come with it.
func receiveTurn(conn *os.File) ([]*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	word, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4*maxFiles))
	var n, controlled int
	var failure error
	err = raw.Read(func(fd uintptr) bool {
		n, controlled, _, _, failure = unix.Recvmsg(int(fd), word, control, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		return failure != unix.EAGAIN && failure != unix.EINTR
	})
	if err = errors.Join(err, failure); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errors.New("the parent has closed the connection")
	}
	messages, err := unix.ParseSocketControlMessage(control[:controlled])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("activation without its files: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("activation without its files: %w", err)
	}
	var files []*os.File
	for _, fd := range fds {
		files = append(files, os.NewFile(uintptr(fd), "given"))
	}
	return files, nil
}
