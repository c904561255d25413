package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// The descriptors that every worker inherits.
const (
	readyFD = 3
	turnFD  = 4

	firstFile = 5
)

// Seat is a worker's side of its parent.
type Seat struct {
	turn *os.File
	once sync.Once
}

// Attach is called by a worker when it starts. A worker whose parent has died before the kernel could be asked for a
// signal gets an error and must end.
func Attach() (*Seat, error) {
	parent, err := strconv.Atoi(os.Getenv(parentEnv))
	if err != nil {
		return nil, fmt.Errorf("%s is not set: this command is started by `lvs-ha run`, not by hand", parentEnv)
	}
	if os.Getppid() != parent {
		return nil, fmt.Errorf("the parent process %d is gone", parent)
	}
	syscall.CloseOnExec(readyFD)
	if err := syscall.SetNonblock(readyFD, true); err != nil {
		return nil, fmt.Errorf("preparing to report to the parent: %w", err)
	}
	return &Seat{turn: os.NewFile(turnFD, "turn")}, nil
}

// Inherited is the worker's i-th inherited file, not to be inherited by the programs that it starts.
func Inherited(i int, name string) *os.File {
	syscall.CloseOnExec(firstFile + i)
	return os.NewFile(uintptr(firstFile+i), name)
}

// ErrNoTurn says that a worker's turn will not come: it is a spare, and the parent stops.
var ErrNoTurn = errors.New("the parent stops")

// Turn waits until it is this worker's turn, and says whether it replaces one that ended unexpectedly.
func (s *Seat) Turn(ctx context.Context) (restarted bool, err error) {
	word := make(chan byte, 1)
	go func() {
		defer s.turn.Close()
		b := make([]byte, 1)
		if n, _ := s.turn.Read(b); n == 0 {
			b[0] = 0
		}
		word <- b[0]
	}()
	select {
	case w := <-word:
		if w != turnFirst && w != turnRestarted {
			return false, ErrNoTurn
		}
		return w == turnRestarted, nil
	case <-ctx.Done():
		return false, ErrNoTurn
	}
}

// Ready tells the parent that this worker works.
func (s *Seat) Ready() {
	s.once.Do(func() { s.say(readyWord) })
}

// AliveInterval is how often a worker that is ready says that it is alive.
const AliveInterval = time.Second

// Alive tells the parent that this worker has not got stuck: it is called from where it would.
func (s *Seat) Alive() { s.say(aliveWord) }

// say writes without waiting: a parent that does not read must not stop its workers.
func (s *Seat) say(word string) {
	_, _ = syscall.Write(readyFD, []byte(word)) // there is nobody else to tell
}
