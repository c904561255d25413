package vrrp

import (
	"slices"
	"time"
)

// configure applies a new configuration without changing the state or missing an advert.
func (m *Machine) configure(in Instance, now time.Time) {
	removed, added := addressChanges(m.in.Addresses, in.Addresses)
	replaced, replacements := altered(removed, added), altered(added, removed)
	removed = slices.DeleteFunc(removed, func(a Address) bool { return slices.Contains(replaced, a) })
	unrouted, routed := m.in.Routing.changesTo(&in.Routing)
	old, interval := m.in, m.Interval()
	m.retime(now, func() { m.in = in })

	switch m.state {
	case Backup:
		if m.Interval() != interval || in.Version != old.Version || in.StartupDelay != old.StartupDelay {
			m.due = now.Add(m.masterDown())
		}
		m.replaceIfOwned(removed, replaced, replacements, unrouted, old.Routing.replacements(&routed))
	case Leaving:
		m.replaceIfOwned(removed, replaced, replacements, unrouted, old.Routing.replacements(&routed))
	case Master:
		m.removeIfOwned(replaced, Routing{})
		if len(added) > 0 || !routed.Empty() {
			m.act(AddAddresses{added, routed})
		}
		listed := old.Advert(0)
		if len(added)+len(removed) > 0 || !in.SameAddresses(&listed) || in.AdvertiseInterval != old.AdvertiseInterval {
			m.advertise(now) // backups need the new list, and the new interval before the old one makes them time out
		}
		if len(added) > 0 {
			m.act(SendAnnouncements{added})
			m.again = later(now, in.Announce.RepeatAfter)
		}
		m.removeIfOwned(removed, unrouted)
		if in.Announce.Refresh != old.Announce.Refresh {
			m.refresh = later(now, in.Announce.Refresh)
		}
	}
}

func (m *Machine) removeIfOwned(addresses []Address, routing Routing) {
	if m.owns && (len(addresses) > 0 || !routing.Empty()) {
		m.act(RemoveAddresses{addresses, routing})
	}
}

// replaceIfOwned keeps what is served on the interface until another router takes over. New addresses are not added: this
// router is not, or no longer, the master.
func (m *Machine) replaceIfOwned(removed, replaced, replacements []Address, unrouted, rerouted Routing) {
	m.removeIfOwned(slices.Concat(replaced, removed), unrouted)
	if m.owns && (len(replacements) > 0 || !rerouted.Empty()) {
		m.act(AddAddresses{replacements, rerouted})
	}
}

// addressChanges returns the addresses that are only in the old list and those that are only in the new one. It ignores
// whether an address is advertised, because that does not affect the interface.
func addressChanges(old, new []Address) (removed, added []Address) {
	return lacking(old, new), lacking(new, old)
}

// lacking returns the addresses in list that are not in other.
func lacking(list, other []Address) (out []Address) {
	for _, a := range list {
		if !slices.ContainsFunc(other, func(b Address) bool { b.Excluded = a.Excluded; return a == b }) {
			out = append(out, a)
		}
	}
	return out
}

// altered returns the addresses that other has with another prefix length or label. They must be removed before they are
// added again, because the kernel keeps an address only once per interface.
func altered(list, other []Address) []Address {
	var out []Address
	for _, a := range list {
		if slices.ContainsFunc(other, func(b Address) bool {
			return a.Interface == b.Interface && a.Prefix.Addr() == b.Prefix.Addr()
		}) {
			out = append(out, a)
		}
	}
	return out
}
