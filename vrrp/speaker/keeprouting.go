package speaker

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// routeSetter changes and reads the routes and rules of this program.
type routeSetter interface {
	Set(entries []entry) []error // it is not an error if one is already present
	Unset(entries []entry) error // it is not an error if one is absent
	List() (map[string]kernelEntry, error)
	Satisfies(present kernelEntry, want entry) bool
}

// heldEntry is a route or a rule that the keeper keeps set.
type heldEntry struct {
	entry
	holder    *holder
	name      string // of the instance
	order     int    // one may be reached through an earlier one
	installed bool   // false if the last attempt failed
	complaint string // why it is not set; empty if it is
}

// heldRouting holds the routes and rules of masters, and static ones.
type heldRouting struct {
	kernel   routeSetter
	refused  func(h *holder, all []string) // called with all of a holder's refusals, when they change
	started  func()                        // called when there is something to hold for the first time
	held     map[string]*heldEntry
	last     int // order of the last entry
	reported map[*holder][]string
	blind    bool // the last listing failed
}

func newHeldRouting(kernel routeSetter, refused func(*holder, []string), started func()) *heldRouting {
	return &heldRouting{kernel: kernel, refused: refused, started: started, held: map[string]*heldEntry{}, reported: map[*holder][]string{}}
}

// entriesOf returns the routes and then the rules, which lead to them.
func entriesOf(r vrrp.Routing) []entry {
	var out []entry
	for i := range r.Routes {
		out = append(out, entry{route: &r.Routes[i]})
	}
	for i := range r.Rules {
		out = append(out, entry{rule: &r.Rules[i]})
	}
	return out
}

// route sets the routes and rules of a task.
func (k *keeper) route(t task, r vrrp.Routing) {
	if r.Empty() {
		return
	}
	h := k.routing
	if h.last == 0 {
		h.started()
	}
	var list []*heldEntry
	for _, e := range entriesOf(r) {
		h.last++
		x := &heldEntry{entry: e, holder: t.holder, name: t.name, order: h.last}
		h.held[e.key()] = x
		list = append(list, x)
	}
	if h.set(list) {
		k.requestCheck()
	}
	h.report()
}

// unroute removes the routes and rules of a task, except those that another holder has set.
func (k *keeper) unroute(t task, r vrrp.Routing) {
	var list []entry
	for _, e := range slices.Backward(entriesOf(r)) {
		x := k.routing.held[e.key()]
		if x != nil && x.holder != t.holder {
			continue
		}
		delete(k.routing.held, e.key())
		list = append(list, e)
	}
	if len(list) == 0 {
		return
	}
	if err := k.routing.kernel.Unset(list); err != nil {
		k.log.Error("cannot remove routes", "instance", t.name, "error", err)
	}
	k.routing.report()
}

// sweep removes the routes and rules that a killed process left, except those with the given keys.
func (k *keeper) sweep(keep map[string]bool) {
	present, err := k.routing.kernel.List()
	if err != nil {
		k.log.Warn("cannot look for routes that another process left", "error", err)
		return
	}
	var list []entry
	for key, p := range present {
		if !keep[key] && k.routing.held[key] == nil {
			list = append(list, p.entry)
			k.log.Info("removing a route or rule left by an earlier process", "entry", p.entry.String())
		}
	}
	if err := k.routing.kernel.Unset(list); err != nil {
		k.log.Error("cannot remove routes", "error", err)
	}
}

// set sets entries and records why one is refused. It reports whether there was a temporary error.
func (h *heldRouting) set(list []*heldEntry) (temporary bool) {
	entries := make([]entry, len(list))
	for i, x := range list {
		entries[i] = x.entry
	}
	for i, err := range h.kernel.Set(entries) {
		x := list[i]
		x.installed, x.complaint = err == nil, ""
		if err != nil {
			x.complaint = x.String() + ": " + routeRefusal(err)
			temporary = temporary || transient(err)
		}
	}
	return temporary
}

// routeRefusal returns the reason why the kernel refused a route or rule, and the remedy.
func routeRefusal(err error) string {
	switch {
	case errors.Is(err, unix.EEXIST):
		return errForeign.Error()
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return fmt.Sprintf("%v; the gateway is in no network of this host", err)
	}
	return err.Error() + capabilityHint(err, "CAP_NET_ADMIN")
}

// report reports the refusals of each holder that have changed.
func (h *heldRouting) report() {
	now := map[*holder][]string{}
	for _, x := range slices.SortedFunc(maps.Values(h.held), byOrder) {
		if x.complaint != "" {
			now[x.holder] = append(now[x.holder], x.complaint)
		}
	}
	for holder := range h.reported {
		if _, still := now[holder]; !still {
			h.refused(holder, nil)
		}
	}
	for holder, list := range now {
		if !slices.Equal(list, h.reported[holder]) {
			h.refused(holder, list)
		}
	}
	h.reported = now
}

func byOrder(a, b *heldEntry) int { return cmp.Compare(a.order, b.order) }

// restoreRouting sets missing routes and rules again. It returns false after a temporary failure.
func (k *keeper) restoreRouting() bool {
	h := k.routing
	if len(h.held) == 0 {
		return true
	}
	present, err := h.kernel.List()
	if err != nil {
		if !h.blind {
			k.log.Warn("cannot check routes; retrying", "error", err)
		}
		h.blind = true
		return false
	}
	h.blind = false
	var missing, lost []*heldEntry
	for _, x := range slices.SortedFunc(maps.Values(h.held), byOrder) {
		if p, ok := present[x.key()]; ok && h.kernel.Satisfies(p, x.entry) {
			x.installed, x.complaint = true, ""
			continue
		}
		missing = append(missing, x)
		if x.installed {
			lost = append(lost, x)
		}
	}
	temporary := len(missing) > 0 && h.set(missing)
	for _, x := range lost {
		if x.installed {
			k.limitRestores()
			k.log.Warn("route or rule had disappeared; set again", "instance", x.name, "entry", x.String())
			x.holder.routesRestored.Add(1)
		}
	}
	h.report()
	return !temporary
}
