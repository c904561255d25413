package vrrp

import (
	"slices"
	"time"
)

// configure applies a new configuration without changing the state or missing an advert.
func (m *Machine) configure(in Instance, now time.Time) {
	removed, added := addressChanges(m.in.Addresses, in.Addresses)
	replaced := replacedBy(removed, added)
	removed = slices.DeleteFunc(removed, func(a Address) bool { return slices.Contains(replaced, a) })
	old, interval := m.in, m.interval()
	m.retime(now, func() { m.in = in })

	switch m.state {
	case Backup:
		if m.interval() != interval || in.Version != old.Version || in.StartupDelay != old.StartupDelay {
			m.due = now.Add(m.masterDown())
		}
		m.removeIfOwned(append(replaced, removed...))
	case Leaving:
		m.removeIfOwned(append(replaced, removed...))
	case Master:
		m.removeIfOwned(replaced)
		if len(added) > 0 {
			m.act(AddAddresses{added})
		}
		listed := old.Advert(0)
		if len(added)+len(removed) > 0 || !in.SameAddresses(&listed) || in.AdvertiseInterval != old.AdvertiseInterval {
			m.advertise(now) // backups need the new list, and the new interval before the old one makes them time out
		}
		if len(added) > 0 {
			m.act(SendAnnouncements{added})
			m.again = later(now, in.Announce.RepeatAfter)
		}
		m.removeIfOwned(removed)
		if in.Announce.Refresh != old.Announce.Refresh {
			m.refresh = later(now, in.Announce.Refresh)
		}
	}
}

func (m *Machine) removeIfOwned(addresses []Address) {
	if m.owns && len(addresses) > 0 {
		m.act(RemoveAddresses{addresses})
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

// replacedBy returns the removed addresses that are added again with another prefix length or label. They must be
// removed before they are added, because the kernel keeps an address only once per interface.
func replacedBy(removed, added []Address) []Address {
	var out []Address
	for _, r := range removed {
		if slices.ContainsFunc(added, func(a Address) bool {
			return a.Interface == r.Interface && a.Prefix.Addr() == r.Prefix.Addr()
		}) {
			out = append(out, r)
		}
	}
	return out
}
