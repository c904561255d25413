package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const namespaceDir = "/run/netns"

var serial struct {
	sync.Mutex
	last int
}

// Lab is a set of hosts and bridges. Namespaces are named prefix-pid-serial-host and can be looked at with
// `ip netns exec` while the lab stands.
type Lab struct {
	prefix string
	id     string
	fabric *Node

	mu      sync.Mutex
	hosts   map[string]*Node
	ports   int
	closers []func() error
	closed  bool
}

// New makes an empty lab and removes what killed runs with the same prefix left behind.
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

	l := &Lab{prefix: prefix, id: id, hosts: map[string]*Node{}}
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

// NewT makes a lab that is closed when the test ends.
func NewT(t TB, prefix string) *Lab {
	t.Helper()
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

// Fabric is the host whose namespace holds the bridges.
func (l *Lab) Fabric() *Node { return l.fabric }

// onClose registers what undoes something. Closers run in the reverse order.
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

func removeLeftovers(prefix string) error {
	names, err := filepath.Glob(filepath.Join(namespaceDir, prefix+"-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range names {
		name := filepath.Base(path)
		pid, err := strconv.Atoi(strings.Split(name, "-")[1])
		if err != nil || processExists(pid) {
			continue
		}
		errs = append(errs, removeNamespace(name))
	}
	return errors.Join(errs...)
}

func processExists(pid int) bool {
	return unix.Kill(pid, 0) != unix.ESRCH
}

func removeNamespace(name string) error {
	path := filepath.Join(namespaceDir, name)
	killErr := killInside(path)
	// EINVAL: the run was killed between making the file and mounting the namespace on it.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return errors.Join(killErr, fmt.Errorf("unmount namespace %s: %w", name, err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(killErr, fmt.Errorf("remove namespace: %w", err))
	}
	return killErr
}

// killInside ends every process whose main thread is in the namespace.
func killInside(path string) error {
	var want, got unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return fmt.Errorf("look at namespace %s: %w", path, err)
	}
	// A process may have forked since /proc was read: go on until none is found.
	for range 10 {
		found := false
		procs, err := filepath.Glob("/proc/[0-9]*/ns/net")
		if err != nil {
			return err
		}
		for _, p := range procs {
			if unix.Stat(p, &got) != nil || got.Ino != want.Ino || got.Dev != want.Dev {
				continue
			}
			pid, err := strconv.Atoi(strings.Split(p, "/")[2])
			if err != nil || pid == os.Getpid() || isZombie(pid) {
				continue
			}
			found = true
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if !found {
			return nil
		}
	}
	return nil
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	return !ok || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func makeNamespace(name string) (netns.NsHandle, error) {
	var ns netns.NsHandle
	err := onOwnThread(func() error {
		made, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("make network namespace %s: %w", name, err)
		}
		ns = made
		return netns.Set(homeNamespace())
	})
	return ns, err
}
