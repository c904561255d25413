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

// Add puts an address on an interface. One that is there already is no error.
func (k *kernelAddresses) Add(index int, a vrrp.Address) error {
	n := netlinkAddress(index, a.Prefix)
	if a.Prefix.Addr().Is6() {
		// It works at once: duplicate address detection would find the old master, which is about to leave.
		n.Flags = unix.IFA_F_NODAD
		if a.Prefix.IsSingleIP() {
			// A host address is for those who ask for it: the kernel shall not choose it as a source.
			n.ValidLft, n.PreferedLft = math.MaxUint32, 0
		}
	}
	n.Label = a.Label
	err := persist(func() error { return k.handle.AddrAdd(nil, n) })
	if err == nil || errors.Is(err, unix.EEXIST) {
		return nil
	}
	return fmt.Errorf("add address: %w", err)
}

// Try says what Add would say, and leaves nothing behind. An IPv6 address is tried as a tentative one, which answers
// nobody; an IPv4 address works for the instant in which it is there. One that is there already is no error and stays.
func (k *kernelAddresses) Try(index int, a vrrp.Address) error {
	err := k.handle.AddrAdd(nil, netlinkAddress(index, a.Prefix))
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case transient(err): // it may be there
		return errors.Join(fmt.Errorf("add address: %w", err), k.Remove(index, a.Prefix))
	case err != nil:
		return fmt.Errorf("add address: %w", err)
	}
	return k.Remove(index, a.Prefix)
}

// Serves says whether the kernel takes packets to an address for its own. It does some time after Add returns for
// IPv6, where a kernel worker completes what Add began.
func (k *kernelAddresses) Serves(p netip.Prefix) bool {
	routes, err := k.handle.RouteGet(p.Addr().AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// Remove takes an address off an interface. One that is gone, or whose interface is, is no error.
func (k *kernelAddresses) Remove(index int, p netip.Prefix) error {
	err := persist(func() error { return k.handle.AddrDel(nil, netlinkAddress(index, p)) })
	if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return nil
	}
	return fmt.Errorf("remove address %s: %w%s", p, err, capabilityHint(err, "CAP_NET_ADMIN"))
}

// List returns the addresses of all interfaces by index; an interface that is set down is left out.
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

func netlinkAddress(index int, p netip.Prefix) *netlink.Addr {
	return &netlink.Addr{
		IPNet:     &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
		LinkIndex: index,
	}
}
