package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Bridge is a switch for hosts' interfaces. It floods multicast and has no spanning tree.
type Bridge struct {
	lab  *Lab
	name string
	link netlink.Link
}

// NIC is a network interface of a host.
type NIC struct {
	Name      string // within the host
	Bridge    *Bridge
	MAC       net.HardwareAddr // chosen by the kernel if empty
	MTU       int              // 1500 if 0
	Addresses []netip.Prefix
}

// Bridge creates a bridge in the lab's fabric.
func (l *Lab) Bridge(name string) (*Bridge, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	br := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: new(bool)}
	if err := l.fabric.netlink.LinkAdd(br); err != nil {
		return nil, fmt.Errorf("make bridge %s: %w", name, err)
	}
	if err := l.fabric.netlink.LinkSetUp(br); err != nil {
		return nil, fmt.Errorf("set bridge %s up: %w", name, err)
	}
	return &Bridge{lab: l, name: name, link: br}, nil
}

// Name returns the bridge's name.
func (b *Bridge) Name() string { return b.name }

// Default is the destination of a default route.
var Default netip.Prefix

// Prefixes parses addresses with prefix lengths, and panics on errors.
func Prefixes(addresses ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range addresses {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

// Attach adds an interface on a bridge to the host and sets it up.
func (h *Node) Attach(nic NIC) error {
	if nic.Bridge == nil {
		return fmt.Errorf("attach %s to host %s: no bridge given", nic.Name, h.name)
	}
	if err := h.attach(nic); err != nil {
		return fmt.Errorf("attach %s of host %s to bridge %s: %w", nic.Name, h.name, nic.Bridge.name, err)
	}
	for _, a := range nic.Addresses {
		if err := h.AddAddress(nic.Name, a); err != nil {
			return err
		}
	}
	return nil
}

func (h *Node) attach(nic NIC) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("port%d", h.lab.nextPort())
	attrs.MTU = nic.mtu()
	attrs.MasterIndex = nic.Bridge.link.Attrs().Index
	port := netlink.NewVeth(attrs)
	port.PeerName, port.PeerHardwareAddr = nic.Name, nic.MAC
	port.PeerNamespace = netlink.NsFd(h.ns)
	fabric := h.lab.fabric.netlink
	if err := fabric.LinkAdd(port); err != nil {
		return fmt.Errorf("make a veth pair: %w", err)
	}
	if err := h.lab.addCable(h.name, nic, port); err != nil {
		return err
	}
	if err := errors.Join(fabric.LinkSetUp(port), h.Up(nic.Name)); err != nil {
		return err
	}
	return h.lab.awaitForwarding(context.Background(), port)
}

func (n NIC) mtu() int {
	if n.MTU == 0 {
		return 1500
	}
	return n.MTU
}

// Link is a network interface of the host.
func (h *Node) Link(iface string) (netlink.Link, error) {
	link, err := h.netlink.LinkByName(iface)
	if err != nil {
		return nil, fmt.Errorf("host %s: find interface %s: %w", h.name, iface, err)
	}
	return link, nil
}

// Up sets an interface up.
func (h *Node) Up(iface string) error {
	return h.onLink(iface, "set up", h.netlink.LinkSetUp)
}

// Down sets an interface down.
func (h *Node) Down(iface string) error {
	return h.onLink(iface, "set down", h.netlink.LinkSetDown)
}

// AddAddress adds an address to an interface; it is usable at once.
func (h *Node) AddAddress(iface string, p netip.Prefix) error {
	return h.onLink(iface, "add "+p.String(), func(link netlink.Link) error {
		return h.netlink.AddrReplace(link, address(p))
	})
}

// DelAddress removes an address from an interface.
func (h *Node) DelAddress(iface string, p netip.Prefix) error {
	return h.onLink(iface, "remove "+p.String(), func(link netlink.Link) error {
		return h.netlink.AddrDel(link, address(p))
	})
}

func address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func (h *Node) onLink(iface, what string, f func(netlink.Link) error) error {
	link, err := h.Link(iface)
	if err != nil {
		return err
	}
	if err := f(link); err != nil {
		return fmt.Errorf("host %s: interface %s: %s: %w", h.name, iface, what, err)
	}
	return nil
}

// AddRoute adds a route to dst, the default route if dst is zero, through a gateway.
func (h *Node) AddRoute(dst netip.Prefix, via netip.Addr) error {
	r := &netlink.Route{Gw: via.AsSlice()}
	if dst.IsValid() {
		r.Dst = &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())}
	}
	if err := h.netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("host %s: add route to %v via %v: %w", h.name, dst, via, err)
	}
	return nil
}

// removeLinks removes all virtual interfaces, so that their peers are removed at once instead of with the last reference
// to the namespace.
func (h *Node) removeLinks() error {
	links, err := h.netlink.LinkList()
	if err != nil {
		return fmt.Errorf("host %s: list interfaces: %w", h.name, err)
	}
	for _, link := range links {
		switch link.(type) {
		case *netlink.Veth, *netlink.Bridge, *netlink.Macvlan, *netlink.Dummy, *netlink.Vlan:
			// already removed with its peer or parent
			err := h.netlink.LinkDel(link)
			if err != nil && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("host %s: remove interface %s: %w", h.name, link.Attrs().Name, err)
			}
		}
	}
	return nil
}
