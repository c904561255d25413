package speaker

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// addresser changes and reads the kernel's addresses.
type addresser interface {
	Add(list []placement) []error        // the error of each
	Try(index int, a vrrp.Address) error // the error that Add would return, without a lasting effect
	Serves(at placed) bool
	Remove(index int, a vrrp.Address) error
	List() (map[int][]ifAddress, error)
}

// linker creates and removes macvlans.
type linker interface {
	Prepare(v macvlan) (index int, err error)
	Set(index int, up bool, mac net.HardwareAddr) error
	Forward(name string, on bool) error
	Discard(name string) error
	Sweep(except map[string]bool) error
}

// burster announces addresses: immediately, then repeatedly.
type burster interface {
	Announce(b burst)
	Continue() // after one or more calls of Announce
}

// task is a list of a machine's actions that may block in the kernel, addresses and announcements, in order.
type task struct {
	holder  *holder
	name    string // of the instance
	actions []vrrp.Action
	try     []vrrp.Address  // addresses to test only: would the kernel accept them?
	sweep   map[string]bool // if not nil, remove the routes and rules that have none of these keys
	count   int             // announcements of a burst

	prepare    *macvlan // to create or adopt
	prepared   func(index int, err error)
	discard    string          // name of a macvlan to remove
	sweepLinks map[string]bool // if not nil, remove the macvlans that have none of these names
	done       func()

	claim *claim // nil: it cannot be withdrawn
}

// keeper carries out tasks one after another and keeps the addresses of masters on their interfaces. It is the only
// writer of addresses.
type keeper struct {
	log      *slog.Logger
	kernel   addresser
	links    linker
	announce burster
	lookup   func(name string) netInterface
	sleep    func(time.Duration)
	refused  func(h *holder, all refusals) // called with all of a router's refusals, when they change or after a try

	mu    sync.Mutex
	tasks []task
	check bool // an address may be missing
	wake  wakeup

	held      map[placed]*heldAddress
	routing   *heldRouting
	doubtful  map[*holder]struct{} // holders whose refusals may have changed
	blind     bool                 // the last listing of the kernel's addresses failed
	notBefore time.Time            // time of the next check
	again     time.Duration        // pause after a failed check
	pacer     pacer
}

// placed is an address on an interface.
type placed struct {
	Interface string
	Prefix    netip.Prefix
}

// satisfiedBy reports whether an address of the interface is the placed one. The kernel keeps an IPv6 address only once,
// regardless of its prefix length.
func (p placed) satisfiedBy(present netip.Prefix) bool {
	return present == p.Prefix || p.Prefix.Addr().Is6() && present.Addr() == p.Prefix.Addr()
}

type heldAddress struct {
	at        placed
	address   vrrp.Address
	holder    *holder
	name      string
	index     int    // of the interface it was added to
	installed bool   // false if the last attempt failed
	complaint string // why the kernel refuses it; empty if it does not
	former    string // the complaint before the last attempt
}

const (
	checkInterval = 5 * time.Second       // in case kernel messages were lost
	restorePause  = 50 * time.Millisecond // minimum time between restorations, to limit the rate of a conflict with another program
	firstAgain    = 10 * time.Millisecond // pause after a failed check; doubled each time, up to checkInterval

	servicePause   = 50 * time.Microsecond
	serviceTimeout = 50 * time.Millisecond // for all IPv6 addresses of a task to become usable
)

func newKeeper(log *slog.Logger, kernel addresser, links linker, announce burster, lookup func(string) netInterface,
	refused func(*holder, refusals), routing *heldRouting,
) *keeper {
	return &keeper{
		log: log, kernel: kernel, links: links, announce: announce, lookup: lookup, sleep: time.Sleep, refused: refused,
		wake: newWakeup(),
		held: map[placed]*heldAddress{}, routing: routing, doubtful: map[*holder]struct{}{},
	}
}

// submit queues a task; done is called when it is complete, on the keeper's goroutine.
func (k *keeper) submit(t task) {
	k.mu.Lock()
	k.tasks = append(k.tasks, t)
	k.mu.Unlock()
	k.wake.notify()
}

// requestCheck schedules a check, because an address may have been deleted or an interface recreated.
func (k *keeper) requestCheck() {
	k.mu.Lock()
	k.check = true
	k.mu.Unlock()
	k.wake.notify()
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
			k.requestCheck()
			continue
		case <-later.C:
		}
		tasks, check := k.take()
		k.carryOutAll(tasks)
		if len(tasks) > 0 {
			k.announce.Continue()
		}
		if !check || len(k.held)+len(k.routing.held) == 0 {
			continue
		}
		if time.Now().Before(k.notBefore) {
			k.scheduleCheck(later)
			continue
		}
		if addresses, routes := k.restore(), k.restoreRouting(); addresses && routes {
			k.again = 0
			continue
		}
		k.again = min(max(2*k.again, firstAgain), checkInterval)
		k.notBefore = time.Now().Add(k.again)
		k.scheduleCheck(later)
	}
}

// scheduleCheck schedules the next check of the addresses.
func (k *keeper) scheduleCheck(later *time.Timer) {
	k.mu.Lock()
	k.check = true
	k.mu.Unlock()
	later.Reset(time.Until(k.notBefore))
}

// carryOut carries out a task. If its addresses are held, they have been added already.
func (k *keeper) carryOut(t task, held bool) {
	if len(t.try) > 0 {
		k.try(t)
		return
	}
	if t.sweep != nil {
		k.sweep(t.sweep)
	}
	k.tendLinks(t)
	quiet := false
	for _, a := range t.actions {
		switch a := a.(type) {
		case vrrp.AddAddresses:
			k.raise(t.holder)
			if !held {
				k.hold(k.wanted(t, a.Addresses))
			}
			k.awaitService(t, a.Addresses)
			k.raised(t.holder)
			// Wait for the router's decision: with these refusals it may not become master.
			if _, doubt := k.doubtful[t.holder]; doubt {
				quiet = k.reportRefusals(t.holder)
			}
			k.route(t, a.Routing)
		case vrrp.RemoveAddresses:
			k.unroute(t, a.Routing)
			k.lower(t, a.Addresses, func() {
				// In reverse order: with a subnet's first address, the kernel also deletes the others.
				for _, addr := range slices.Backward(a.Addresses) {
					k.release(t, addr)
				}
			})
		case vrrp.SendAnnouncements:
			if !quiet {
				k.announce.Announce(newBurst(t, slices.DeleteFunc(slices.Clone(a.Addresses), func(a vrrp.Address) bool {
					h := k.held[t.holder.key.place(a)]
					return h == nil || !h.installed
				})))
			}
		}
	}
}

// place returns the address with the interface that it belongs on.
func (r routerKey) place(a vrrp.Address) placed {
	if a.Interface != "" {
		return placed{a.Interface, a.Prefix}
	}
	return placed{r.Interface, a.Prefix}
}

// awaitService waits until added IPv6 addresses are usable, so that no address is announced before it is served. An address
// that was already present and does not become usable is removed and added again.
func (k *keeper) awaitService(t task, addresses []vrrp.Address) {
	deadline := time.Now().Add(serviceTimeout)
	for _, a := range addresses {
		at := t.holder.key.place(a)
		h := k.held[at]
		if a.Prefix.Addr().Is4() || h == nil || !h.installed {
			continue
		}
		serves := k.kernel.Serves(at)
		for ; !serves && time.Now().Before(deadline); serves = k.kernel.Serves(at) {
			k.sleep(servicePause)
		}
		if !serves {
			k.renew(at, h, at.Prefix)
		}
	}
}

// wanted records the addresses of a task as held.
func (k *keeper) wanted(t task, addresses []vrrp.Address) []*heldAddress {
	list := make([]*heldAddress, len(addresses))
	for i, a := range addresses {
		at := t.holder.key.place(a)
		h := &heldAddress{at: at, address: a, holder: t.holder, name: t.name}
		if old := k.held[at]; old != nil {
			h.index, h.installed, h.complaint = old.index, old.installed, old.complaint
		}
		k.held[at], list[i] = h, h
	}
	return list
}

// hold adds addresses, and requests a check after a temporary error.
func (k *keeper) hold(list []*heldAddress) {
	if k.install(list...) != nil {
		k.requestCheck()
	}
}

// install adds addresses to their interfaces. It returns only temporary errors; any other error is recorded as a refusal.
func (k *keeper) install(list ...*heldAddress) error {
	var requests []placement
	var waiting []*heldAddress
	for _, h := range list {
		h.former = h.complaint
		index := k.lookup(h.at.Interface).Index
		if h.installed && h.index != index && index != 0 {
			k.remove(h.index, h.at, h.address, h.name) // from the interface that had this name before
		}
		h.index, h.installed, h.complaint = index, false, ""
		if index == 0 {
			h.complaint = noInterface
			continue
		}
		requests, waiting = append(requests, placement{index, h.address}), append(waiting, h)
	}
	var temporary error
	for i, err := range k.kernel.Add(requests) {
		h := waiting[i]
		if h.installed = err == nil; err != nil {
			h.complaint = refusalText(h.at, err)
		}
		if transient(err) {
			temporary = err
		}
	}
	for _, h := range list {
		if h.complaint != h.former || len(h.holder.refused) > 0 {
			k.doubtful[h.holder] = struct{}{}
		}
	}
	return temporary
}

func (k *keeper) release(t task, a vrrp.Address) {
	at := t.holder.key.place(a)
	h := k.held[at]
	if h != nil && h.holder != t.holder {
		return
	}
	delete(k.held, at)
	index := k.lookup(at.Interface).Index
	if h != nil && h.installed {
		// The former interface may have been renamed.
		if h.index != index {
			k.remove(h.index, at, h.address, t.name)
		}
	}
	if index != 0 && (h == nil || h.complaint == "") {
		k.remove(index, at, a, t.name)
	}
}

func (k *keeper) remove(index int, at placed, a vrrp.Address, instance string) {
	if err := k.kernel.Remove(index, a); err != nil {
		k.log.Error("cannot remove virtual address", "instance", instance, "interface", at.Interface, "error", err)
	}
}

// restore adds missing addresses again. It returns false after a temporary failure.
func (k *keeper) restore() bool {
	actual, err := k.kernel.List()
	if err != nil {
		if !k.blind {
			k.log.Warn("cannot check virtual addresses; retrying", "error", err)
		}
		k.blind = true
		return false
	}
	k.blind = false
	well := true
	for at, h := range k.held {
		index := k.lookup(at.Interface).Index
		if h.installed && h.index != index { // the former interface may have been renamed
			k.remove(h.index, at, h.address, h.name)
			h.installed = false
		}
		all, up := actual[index]
		if at.Interface == h.holder.vmac && index != 0 && (!up || !slices.Equal(k.lookup(at.Interface).Hardware, h.holder.mac())) {
			k.raise(h.holder)
			k.raised(h.holder)
		}
		if !up {
			continue
		}
		if i := slices.IndexFunc(all, func(a ifAddress) bool { return at.satisfiedBy(a.Prefix) }); i >= 0 {
			k.accept(at, h, index, all[i])
			continue
		}
		deleted := h.installed && h.index == index
		if k.install(h) != nil {
			well = false
		}
		if !deleted || !h.installed {
			continue
		}
		k.putBack(h)
		k.log.Warn("virtual address deleted by another program; restored", "instance", h.name, "interface", at.Interface,
			"address", at.Prefix)
	}
	for h := range k.doubtful {
		k.reportRefusals(h)
	}
	return well
}

// limitRestores postpones the next check.
func (k *keeper) limitRestores() { k.notBefore = time.Now().Add(restorePause) }

// putBack counts a restored address.
func (k *keeper) putBack(h *heldAddress) {
	k.limitRestores()
	h.holder.restored.Add(1)
}

// accept records a held address as present if it is usable.
func (k *keeper) accept(at placed, h *heldAddress, index int, present ifAddress) {
	if present.Duplicate {
		h.index = index
		k.renew(at, h, present.Prefix)
		k.putBack(h)
		return
	}
	if h.complaint != "" {
		h.complaint = ""
		k.doubtful[h.holder] = struct{}{}
	}
	h.index, h.installed = index, true
}
