// Package realservertest provides a realserver.System in memory.
package realservertest

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Machine is a realserver.System in memory.
type Machine struct {
	mu   sync.Mutex
	o    realserver.Observed
	done []realserver.Step
	fail map[realserver.Action]error
}

// New returns a machine with a loopback device, an Ethernet device eth0 with the given addresses and a gateway, and the
// kernel's default parameters.
func New(gateway string, addresses ...string) *Machine {
	m := &Machine{fail: map[realserver.Action]error{}, o: realserver.Observed{Sysctls: map[string]string{}}}
	m.addLink(host.Link{Name: "all"})
	m.o.Links = nil
	m.addLink(host.Link{Name: "lo", Up: true, Loopback: true})
	m.addLink(host.Link{Name: "eth0", Up: true})
	m.o.Addresses = []host.Address{{Interface: "lo", Prefix: netip.MustParsePrefix("127.0.0.1/8")}}
	for _, a := range addresses {
		m.AddAddress("eth0", a)
	}
	if gateway != "" {
		a := netip.MustParseAddr(gateway)
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if a.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		m.o.Routes = []host.Route{{Destination: all, Interface: "eth0", Gateway: a}}
	}
	return m
}

// AddLink adds a device externally.
func (m *Machine) AddLink(l host.Link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addLink(l)
}

func (m *Machine) addLink(l host.Link) {
	m.o.Links = append(m.o.Links, l)
	for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
		m.o.Sysctls[sysctl.Conf("ipv4", l.Name, name)] = "0"
	}
	m.o.Sysctls[sysctl.Conf("ipv6", l.Name, "disable_ipv6")] = "0"
}

// AddAddress adds an address to a device externally.
func (m *Machine) AddAddress(iface, prefix string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.o.Addresses = append(m.o.Addresses, host.Address{Interface: iface, Prefix: netip.MustParsePrefix(prefix)})
}

// Set sets a kernel parameter externally.
func (m *Machine) Set(key, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.o.Sysctls[key] = value
}

// Change lets a test change any state externally.
func (m *Machine) Change(f func(*realserver.Observed)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.o)
}

// Fail makes every step of the action fail with err, or succeed if err is nil.
func (m *Machine) Fail(a realserver.Action, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail[a] = err
}

// Done returns the steps executed so far.
func (m *Machine) Done() []realserver.Step {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.done)
}

// Observe returns a copy of the current state.
func (m *Machine) Observe(context.Context) (realserver.Observed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.o
	o.Links, o.Addresses, o.Routes = slices.Clone(o.Links), slices.Clone(o.Addresses), slices.Clone(o.Routes)
	o.FOU, o.Sysctls = slices.Clone(o.FOU), maps.Clone(o.Sysctls)
	return o, nil
}

// Do executes a step. Unlike the kernel, it refuses a step that has already taken effect.
func (m *Machine) Do(_ context.Context, s realserver.Step) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail[s.Action]; err != nil {
		return err
	}
	if err := m.take(s); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	m.done = append(m.done, s)
	return nil
}

func (m *Machine) take(s realserver.Step) error {
	address := host.Address{Interface: s.Interface, Prefix: realserver.HostPrefix(s.Address)}
	route := host.Route{Interface: s.Interface, Destination: realserver.HostPrefix(s.Address)}
	port := realserver.FOU{IPv6: s.IPv6, Port: s.Port}
	switch s.Action {
	case realserver.LoadModule:
		return m.load(s.Module)
	case realserver.SetUp, realserver.SetDown:
		return m.onLink(s.Interface, func(l *host.Link) { l.Up = s.Action == realserver.SetUp })
	case realserver.TakeAny, realserver.TakeIPv6:
		return m.onLink(s.Interface, func(l *host.Link) { l.Any = s.Action == realserver.TakeAny })
	case realserver.SetSysctl:
		now, ok := m.o.Sysctls[s.Key]
		if !ok || now != s.Before {
			return fmt.Errorf("is %q, not %q", now, s.Before)
		}
		m.o.Sysctls[s.Key] = s.Value
		return nil
	case realserver.AddAddress:
		return add(&m.o.Addresses, address)
	case realserver.RemoveAddress:
		return remove(&m.o.Addresses, address)
	case realserver.AddRoute:
		return add(&m.o.Routes, route)
	case realserver.RemoveRoute:
		return remove(&m.o.Routes, route)
	case realserver.AddFOU:
		return add(&m.o.FOU, port)
	case realserver.RemoveFOU:
		return remove(&m.o.FOU, port)
	}
	return fmt.Errorf("unknown action")
}

func (m *Machine) load(module string) error {
	if module == "fou" {
		m.o.FOU = []realserver.FOU{}
		return nil
	}
	name, ok := map[string]string{"ipip": "tunl0", "ip6_tunnel": "ip6tnl0", "sit": "sit0", "ip_gre": "gre0", "ip6_gre": "ip6gre0"}[module]
	if !ok {
		return fmt.Errorf("no such module")
	}
	m.addLink(host.Link{Name: name, NoARP: true})
	return nil
}

func (m *Machine) onLink(name string, f func(*host.Link)) error {
	i := slices.IndexFunc(m.o.Links, func(l host.Link) bool { return l.Name == name })
	if i < 0 {
		return fmt.Errorf("no such device")
	}
	f(&m.o.Links[i])
	return nil
}

func add[T comparable](list *[]T, v T) error {
	if slices.Contains(*list, v) {
		return fmt.Errorf("already exists")
	}
	*list = append(*list, v)
	return nil
}

func remove[T comparable](list *[]T, v T) error {
	i := slices.Index(*list, v)
	if i < 0 {
		return fmt.Errorf("does not exist")
	}
	*list = slices.Delete(*list, i, i+1)
	return nil
}
