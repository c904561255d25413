package speaker

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// kernelAddresses changes the addresses of this network namespace's interfaces.
type kernelAddresses struct {
	handle routes
	close  func()
}

func newKernelAddresses() (*kernelAddresses, error) {
	h, err := host.Open(netlinkTimeout)
	if err != nil {
		return nil, err
	}
	return &kernelAddresses{h, h.Close}, nil
}

func (k *kernelAddresses) Close() { k.close() }

// Add adds an address to an interface. It is not an error if the address is already present.
func (k *kernelAddresses) Add(index int, a vrrp.Address) error {
	n := netlinkAddress(index, a)
	if a.Prefix.Addr().Is6() {
		// Usable immediately: duplicate address detection would find the old master, which is about to leave.
		n.Flags |= unix.IFA_F_NODAD
	}
	err := retryTransient(func() error { return k.handle.AddrAdd(nil, n) })
	if err == nil || errors.Is(err, unix.EEXIST) {
		return nil
	}
	return fmt.Errorf("add address: %w", err)
}

// Try returns the error that Add would return, without a lasting effect. An IPv6 address is added as a tentative one, which
// the kernel does not answer for; an IPv4 address is usable until Try removes it. An address that is already present is
// not an error and is kept.
func (k *kernelAddresses) Try(index int, a vrrp.Address) error {
	err := k.handle.AddrAdd(nil, netlinkAddress(index, a))
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case transient(err): // it may have been added
		return errors.Join(fmt.Errorf("add address: %w", err), k.Remove(index, a))
	case err != nil:
		return fmt.Errorf("add address: %w", err)
	}
	return k.Remove(index, a)
}

// Serves reports whether the kernel accepts packets to an address as its own. For IPv6 this is the case only some time
// after Add returns, when a kernel worker has completed the change.
func (k *kernelAddresses) Serves(p netip.Prefix) bool {
	routes, err := k.handle.RouteGet(p.Addr().AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// Remove removes an address from an interface. It is not an error if the address or the interface is missing.
func (k *kernelAddresses) Remove(index int, a vrrp.Address) error {
	a.Label = "" // another program may have set it again without the label
	err := retryTransient(func() error { return k.handle.AddrDel(nil, netlinkAddress(index, a)) })
	if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return nil
	}
	return fmt.Errorf("remove address %s: %w%s", a.Prefix, err, capabilityHint(err, "CAP_NET_ADMIN"))
}

// List returns the addresses of all interfaces by index. It omits interfaces that are set down.
func (k *kernelAddresses) List() (map[int][]ifAddress, error) {
	t, err := listInterfaces(k.handle)
	if err != nil {
		return nil, err
	}
	out := make(map[int][]ifAddress, len(t.links))
	for index, l := range t.links {
		if l.Up {
			out[index] = t.addresses[index]
		}
	}
	return out, nil
}

func netlinkAddress(index int, a vrrp.Address) *netlink.Addr {
	n := &netlink.Addr{IPNet: ipNet(a.Prefix), LinkIndex: index, Label: a.Label, Scope: int(scopes[a.Scope])}
	if a.Broadcast.IsValid() {
		n.Broadcast = a.Broadcast.AsSlice()
	}
	if a.Peer.IsValid() {
		n.Peer = ipNet(netip.PrefixFrom(a.Peer, a.Prefix.Bits()))
	}
	if a.NoPrefixRoute {
		n.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if a.Deprecated || a.Prefix.Addr().Is6() && a.Prefix.IsSingleIP() && !a.Preferred {
		// The kernel does not choose the address as a source.
		n.ValidLft, n.PreferedLft = math.MaxUint32, 0
	}
	return n
}

// scopes are numbered in linux/rtnetlink.h.
var scopes = map[vrrp.Scope]uint8{
	"": unix.RT_SCOPE_UNIVERSE, vrrp.ScopeGlobal: unix.RT_SCOPE_UNIVERSE, vrrp.ScopeSite: unix.RT_SCOPE_SITE,
	vrrp.ScopeLink: unix.RT_SCOPE_LINK, vrrp.ScopeHost: unix.RT_SCOPE_HOST,
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
