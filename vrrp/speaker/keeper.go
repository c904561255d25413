package speaker

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// addresser changes and reads the kernel's addresses.
type addresser interface {
	Add(index int, a vrrp.Address) error
	Serves(p netip.Prefix) bool
	Remove(index int, p netip.Prefix) error
	List() (map[int][]netip.Prefix, error)
}

// burster announces addresses: first at once, then repeatedly.
type burster interface {
	Announce(b burst)
}

// task is what a machine wants done that may wait for the kernel: addresses and announcements, in order.
type task struct {
	router  routerKey
	name    string // of the instance
	actions []vrrp.Action
	counts  *counters
	count   int // announcements of a burst
	done    func()
}

// keeper carries out tasks one after another and keeps the addresses of masters on their interfaces. It is the only
// writer of addresses.
type keeper struct {
	log      *slog.Logger
	kernel   addresser
	announce burster
	lookup   func(name string) netInterface

	mu    sync.Mutex
	tasks []task
	check bool // an address may be missing
	wake  chan struct{}

	held     map[placed]*heldAddress
	restored time.Time
	blind    bool // the last look at the kernel's addresses failed
}

// placed is an address on an interface.
type placed struct {
	Interface string
	Prefix    netip.Prefix
}

// satisfiedBy says whether an address of the interface is the placed one. The kernel keeps an IPv6 address once,
// whatever its prefix length.
func (p placed) satisfiedBy(present netip.Prefix) bool {
	return present == p.Prefix || p.Prefix.Addr().Is6() && present.Addr() == p.Prefix.Addr()
}

type heldAddress struct {
	address   vrrp.Address
	router    routerKey
	name      string
	counts    *counters
	index     int  // of the interface that it was put on
	installed bool // false: the last attempt failed
	complaint string
}

const (
	checkInterval = 5 * time.Second       // a safety net under the kernel's messages
	restorePause  = 50 * time.Millisecond // between two restorations, lest two programs fight at full speed

	servicePause   = 200 * time.Microsecond
	serviceTimeout = 50 * time.Millisecond // for all IPv6 addresses of a task to work
)

func newKeeper(log *slog.Logger, kernel addresser, announce burster, lookup func(string) netInterface) *keeper {
	return &keeper{
		log: log, kernel: kernel, announce: announce, lookup: lookup,
		wake: make(chan struct{}, 1),
		held: map[placed]*heldAddress{},
	}
}

// submit queues a task; done is called when it is complete, on the keeper's goroutine.
func (k *keeper) submit(t task) {
	k.mu.Lock()
	k.tasks = append(k.tasks, t)
	k.mu.Unlock()
	k.poke()
}

// suspect says that an address may have been deleted or an interface made anew.
func (k *keeper) suspect() {
	k.mu.Lock()
	k.check = true
	k.mu.Unlock()
	k.poke()
}

func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) take() (tasks []task, check bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	tasks, check = k.tasks, k.check
	k.tasks, k.check = nil, false
	return tasks, check
}

// run works until ctx ends.
func (k *keeper) run(ctx context.Context) {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	later := time.NewTimer(0)
	defer later.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-tick.C:
			k.suspect()
			continue
		case <-later.C:
		}
		tasks, check := k.take()
		for _, t := range tasks {
			k.carryOut(t)
			t.done()
		}
		if !check || len(k.held) == 0 {
			continue
		}
		if wait := restorePause - time.Since(k.restored); wait > 0 {
			k.mu.Lock()
			k.check = true
			k.mu.Unlock()
			later.Reset(wait)
			continue
		}
		k.restore()
	}
}

func (k *keeper) carryOut(t task) {
	for _, a := range t.actions {
		switch a := a.(type) {
		case vrrp.AddAddresses:
			for _, addr := range a.Addresses {
				k.hold(t, addr)
			}
			k.awaitService(t, a.Addresses)
		case vrrp.RemoveAddresses:
			// The last first: the kernel drops the others of a subnet with the first.
			for _, addr := range slices.Backward(a.Addresses) {
				k.release(t, addr)
			}
		case vrrp.SendAnnouncements:
			k.announce.Announce(newBurst(t, a.Addresses))
		}
	}
}

// place says where an address of a router belongs.
func (r routerKey) place(a vrrp.Address) placed {
	if a.Interface != "" {
		return placed{a.Interface, a.Prefix}
	}
	return placed{r.Interface, a.Prefix}
}

// awaitService waits until added IPv6 addresses work, lest we announce what we do not serve yet.
func (k *keeper) awaitService(t task, addresses []vrrp.Address) {
	deadline := time.Now().Add(serviceTimeout)
	for _, a := range addresses {
		if h := k.held[t.router.place(a)]; a.Prefix.Addr().Is4() || h == nil || !h.installed {
			continue
		}
		for !k.kernel.Serves(a.Prefix) && time.Now().Before(deadline) {
			time.Sleep(servicePause)
		}
	}
}

func (k *keeper) hold(t task, a vrrp.Address) {
	at := t.router.place(a)
	h := &heldAddress{address: a, router: t.router, name: t.name, counts: t.counts}
	if old := k.held[at]; old != nil {
		h.complaint = old.complaint
	}
	k.held[at] = h
	k.install(at, h)
}

func (k *keeper) install(at placed, h *heldAddress) {
	h.index, h.installed = k.lookup(at.Interface).Index, false
	if h.index == 0 {
		k.complain(at, h, "interface does not exist")
		return
	}
	if err := k.kernel.Add(h.index, h.address); err != nil {
		k.complain(at, h, err.Error())
		return
	}
	h.installed, h.complaint = true, ""
}

// complain logs a failure once, however often it is tried again.
func (k *keeper) complain(at placed, h *heldAddress, problem string) {
	if h.complaint == problem {
		return
	}
	h.complaint = problem
	k.log.Error("virtual address not added; trying again", "instance", h.name, "interface", at.Interface,
		"address", at.Prefix, "error", problem)
}

func (k *keeper) release(t task, a vrrp.Address) {
	at := t.router.place(a)
	if h := k.held[at]; h != nil && h.router != t.router {
		return
	}
	delete(k.held, at)
	index := k.lookup(at.Interface).Index
	if index == 0 {
		return
	}
	if err := k.kernel.Remove(index, a.Prefix); err != nil {
		k.log.Error("virtual address not removed", "instance", t.name, "interface", at.Interface, "error", err)
	}
}

// restore puts back what is missing.
func (k *keeper) restore() {
	actual, err := k.kernel.List()
	if err != nil {
		if !k.blind {
			k.log.Warn("virtual addresses not checked; trying again", "error", err)
		}
		k.blind = true
		return
	}
	k.blind = false
	for at, h := range k.held {
		index := k.lookup(at.Interface).Index
		present, up := actual[index]
		if !up || slices.ContainsFunc(present, at.satisfiedBy) {
			h.installed = h.installed || up
			continue
		}
		deleted := h.installed && h.index == index
		k.install(at, h)
		if !deleted || !h.installed {
			continue
		}
		k.restored = time.Now()
		h.counts.restored.Add(1)
		k.log.Warn("virtual address was deleted by somebody; put back", "instance", h.name, "interface", at.Interface,
			"address", at.Prefix)
	}
}
