package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

var serial struct {
	sync.Mutex
	last int
}

// Lab is a set of hosts and bridges. Namespaces are named prefix-pid-serial-host and can be inspected with `ip netns
// exec` while the lab exists.
type Lab struct {
	prefix string
	id     string
	fabric *Node

	mu       sync.Mutex
	cables   map[string]cable // by host and interface
	hosts    map[string]*Node
	ports    int
	machines int
	closers  []func() error
	closed   bool
}

// New creates an empty lab and removes what killed runs with the same prefix left.
func New(prefix string) (*Lab, error) {
	if prefix == "" || strings.ContainsAny(prefix, "-/ ") {
		return nil, fmt.Errorf("make a lab: prefix %q must be one word without dashes", prefix)
	}
	if err := removeLeftovers(prefix); err != nil {
		return nil, fmt.Errorf("make a lab: %w", err)
	}
	serial.Lock()
	serial.last++
	id := fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), serial.last)
	serial.Unlock()

	l := &Lab{prefix: prefix, id: id, hosts: map[string]*Node{}, cables: map[string]cable{}}
	fabric, err := l.addHost("fabric")
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	// The bridges' own addresses would send router solicitations and MLD reports to every port.
	if err := fabric.Sysctl("net.ipv6.conf.default.disable_ipv6", "1"); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.fabric = fabric
	return l, nil
}

// NewT creates a lab that is closed when the test ends.
func NewT(t TB, prefix string) *Lab {
	t.Helper()
	t.TempDir() // removed after the lab is closed: programs in it may still create files in the test's directories
	l, err := New(prefix)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Logf("%v", err)
		}
	})
	return l
}

// Close ends all processes in the lab's hosts and removes hosts and bridges. It may be called more than once.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	closers := slices.Clone(l.closers)
	l.mu.Unlock()

	var errs []error
	for _, c := range slices.Backward(closers) {
		errs = append(errs, c())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close lab %s: %w", l.id, err)
	}
	return nil
}

// Fabric returns the host whose namespace contains the bridges.
func (l *Lab) Fabric() *Node { return l.fabric }

// onClose registers a cleanup function. They run in reverse order.
func (l *Lab) onClose(f func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.Join(fmt.Errorf("lab %s is closed", l.id), f())
	}
	l.closers = append(l.closers, f)
	return nil
}

func (l *Lab) nextPort() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports++
	return l.ports
}
