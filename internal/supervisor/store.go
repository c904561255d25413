package supervisor

import (
	"sync"

	"golang.org/x/sys/unix"
)

// maxStored limits the files that a worker may store, and maxStoredName the length of a name.
const (
	maxStored     = 32
	maxStoredName = 256
)

// store holds files of a worker for its successors, by name: the sockets that it listens on, so that connections wait in the
// kernel while it is replaced. The parent does not use them, and Go's poller, which each connection would wake, does not know
// them.
type store struct {
	mu     sync.Mutex
	files  map[string]int // descriptors
	closed bool
}

// put stores a descriptor in place of another of that name, and reports whether it did.
func (s *store) put(name string, fd int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, replaces := s.files[name]
	if s.closed || len(name) > maxStoredName || !replaces && len(s.files) >= maxStored {
		return false
	}
	if replaces {
		unix.Close(old)
	}
	if s.files == nil {
		s.files = map[string]int{}
	}
	s.files[name] = fd
	return true
}

func (s *store) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fd, ok := s.files[name]; ok {
		unix.Close(fd)
		delete(s.files, name)
	}
}

// close closes everything, and what arrives later.
func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.files {
		unix.Close(fd)
	}
	s.files, s.closed = nil, true
}

// use calls f with what is stored, which stays open meanwhile.
func (s *store) use(f func(names []string, fds []int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	var fds []int
	for name, fd := range s.files {
		names, fds = append(names, name), append(fds, fd)
	}
	return f(names, fds)
}
