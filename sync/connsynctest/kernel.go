// Package connsynctest is a kernel's connection-sync daemons in memory, for tests of what follows roles. It answers as the
// kernel does and refuses what a test wants refused.
package connsynctest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	connsync "github.com/lvs-ha/lvs-ha/sync"
)

// Kernel has daemons and interfaces. It is safe for concurrent use.
type Kernel struct {
	// Fail, if set, returns the errno that starting (or stopping) a role is refused with, or 0. It is called under the lock.
	Fail func(start bool, role connsync.Role) syscall.Errno

	mu         sync.Mutex
	interfaces map[string]bool
	daemons    map[connsync.Role]connsync.Daemon
	calls      []string
}

// New returns a kernel with interfaces and no daemons.
func New(interfaces ...string) *Kernel {
	k := &Kernel{interfaces: map[string]bool{}, daemons: map[connsync.Role]connsync.Daemon{}}
	for _, name := range interfaces {
		k.interfaces[name] = true
	}
	return k
}

// Run makes daemons run, as a crash leaves them behind.
func (k *Kernel) Run(list ...connsync.Running) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range list {
		k.daemons[r.Role] = filled(r.Daemon)
	}
}

// AddInterface makes an interface appear.
func (k *Kernel) AddInterface(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interfaces[name] = true
}

// Calls returns what was started and stopped, in order, as in "start master" and "stop backup". Refused calls are not
// among them.
func (k *Kernel) Calls() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.calls)
}

// Daemons lists the running daemons, the master first.
func (k *Kernel) Daemons(context.Context) ([]connsync.Running, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []connsync.Running
	for _, role := range slices.Sorted(maps.Keys(k.daemons)) {
		list = append(list, connsync.Running{Role: role, Daemon: k.daemons[role]})
	}
	return list, nil
}

// Start starts a daemon.
func (k *Kernel) Start(_ context.Context, role connsync.Role, d connsync.Daemon) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errno := k.fail(true, role)
	_, runs := k.daemons[role]
	switch {
	case errno != 0:
	case d.Group.IsValid() && !d.Group.IsMulticast(), d.SyncID > 255:
		errno = syscall.EINVAL
	case runs:
		errno = syscall.EEXIST
	case !k.interfaces[d.Interface]:
		errno = syscall.ENODEV
	}
	if errno != 0 {
		return fmt.Errorf("starting the sync daemon %s: %w", role, errno)
	}
	k.daemons[role] = filled(d)
	k.calls = append(k.calls, "start "+role.String())
	return nil
}

// Stop stops a daemon.
func (k *Kernel) Stop(_ context.Context, role connsync.Role) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	errno := k.fail(false, role)
	if _, runs := k.daemons[role]; errno == 0 && !runs {
		errno = syscall.ESRCH
	}
	if errno != 0 {
		return fmt.Errorf("stopping the sync daemon %s: %w", role, errno)
	}
	delete(k.daemons, role)
	k.calls = append(k.calls, "stop "+role.String())
	return nil
}

func (k *Kernel) fail(start bool, role connsync.Role) syscall.Errno {
	if k.Fail == nil {
		return 0
	}
	return k.Fail(start, role)
}

// filled returns the configuration with the kernel's defaults, for an interface with an MTU of 1500.
func filled(d connsync.Daemon) connsync.Daemon {
	if !d.Group.IsValid() {
		d.Group = netip.AddrFrom4([4]byte{224, 0, 0, 81})
	}
	if d.Port == 0 {
		d.Port = 8848
	}
	if d.TTL == 0 {
		d.TTL = 1
	}
	if d.MaxLen == 0 {
		d.MaxLen = 1472
	}
	return d
}
