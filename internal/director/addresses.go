package director

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Addresses accesses the virtual addresses on this host's interfaces. The speaker adds and removes them; the director
// removes those left by a crashed speaker.
type Addresses interface {
	Present(instances []vrrp.Instance) ([]vrrp.Address, error) // the present ones, each with its interface
	Remove(addresses []vrrp.Address) error                     // and all routes and rules of this program
}

// awaitHandOver waits until the speaker has handed over. If it crashed as master, the peers have taken over by then.
func (d *Director) awaitHandOver() {
	deadline := time.After(stopWait)
	for len(d.cfg.VRRP) > 0 {
		var taken <-chan time.Time // when the peers have taken over
		if !d.linked {
			wait := time.Until(d.unlinked.Add(d.takeoverTime()))
			if wait <= 0 {
				return
			}
			taken = time.After(wait)
		}
		select {
		case <-d.inbox.signal:
			d.take(d.inbox.take())
		case view := <-d.views:
			view()
		case <-d.alive.C:
			d.reportAlive()
		case <-taken:
		case <-deadline:
			d.Logger.Warn("speaker hand-over timed out", "waited", stopWait.String())
			return
		}
	}
}

// takeoverTime returns the time that the slowest peer needs to take over from a crashed speaker; zero if it was not master.
func (d *Director) takeoverTime() (most time.Duration) {
	for _, v := range d.cfg.VRRP {
		if s := d.vrrp[v.Name].State; s == vrrp.Master || s == vrrp.Leaving {
			most = max(most, vrrp.MasterDownInterval(v.Version, 1, v.AdvertiseInterval))
		}
	}
	return most
}

// removeAddresses removes the virtual addresses of a crashed speaker. It reports whether none is left: only then may the table and
// the kernel parameters be removed, since packets to these addresses need them.
func (d *Director) removeAddresses() bool {
	static := &d.cfg.Static
	if d.Addresses == nil || len(d.cfg.VRRP)+len(static.Addresses) == 0 && static.Empty() {
		return true
	}
	routed := !static.Empty()
	instances := make([]vrrp.Instance, 0, len(d.cfg.VRRP)+1)
	for _, v := range d.cfg.VRRP {
		instances = append(instances, v.Instance)
		routed = routed || !v.Routing.Empty()
	}
	if len(static.Addresses) > 0 {
		instances = append(instances, vrrp.Instance{Addresses: static.Addresses})
	}
	var left []vrrp.Address
	var err error
	died := !d.linked
	d.await(func() {
		if left, err = d.Addresses.Present(instances); err == nil && died && (routed || len(left) > 0) {
			err = d.Addresses.Remove(left)
		}
	})
	switch {
	case err != nil:
		d.Logger.Error("virtual addresses not removed; IPVS table and kernel parameters left in place", "error", err)
		return false
	case !died && len(left) > 0:
		d.Logger.Warn("virtual addresses still in use by the speaker; IPVS table and kernel parameters left in place", "addresses", len(left))
		return false
	}
	for _, a := range left {
		d.Logger.Warn("removed a virtual address left by a dead speaker", "interface", a.Interface, "address", a.Prefix)
	}
	return true
}

// staticProblem returns the problem of refused static addresses, routes and rules; nil if there are none.
func staticProblem(refused []string) error {
	const most = 3
	switch n := len(refused); {
	case n == 0:
		return nil
	case n > most:
		return fmt.Errorf("refused, retrying: %s; and %d more", strings.Join(refused[:most], "; "), n-most)
	}
	return errors.New("refused, retrying: " + strings.Join(refused, "; "))
}
