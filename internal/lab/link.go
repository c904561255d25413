package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Bridge is a switch that hosts' network cards are attached to. It floods multicast and has no spanning tree.
type Bridge struct {
	lab  *Lab
	name string
	link netlink.Link
}

// NIC is a network card of a host.
type NIC struct {
	Name      string // within the host
	Bridge    *Bridge
	MAC       net.HardwareAddr // the kernel chooses one if empty
	MTU       int              // 1500 if 0
	Addresses []netip.Prefix
}

// Bridge makes a bridge in the lab's fabric.
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

// Name is the bridge's name.
func (b *Bridge) Name() string { return b.name }

// Default is the destination of a default route.
var Default netip.Prefix

// Prefixes parses addresses with their prefix lengths, and panics on a wrong one.
func Prefixes(addresses ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range addresses {
		out = append(out, netip.MustParsePrefix(a))
	}
	return out
}

// Attach gives the host a network card on a bridge and sets it up.
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
	port, err := h.lab.addPort(h.name, nic, func(v *netlink.Veth) {
		v.PeerName = nic.Name
		v.PeerNamespace = netlink.NsFd(h.ns)
	})
	if err != nil {
		return err
	}
	if err := h.Up(nic.Name); err != nil {
		return err
	}
	return h.lab.awaitForwarding(port)
}

// cable joins a host's card to a bridge.
type cable struct {
	port   netlink.Link
	bridge *Bridge
}

// Unplug takes a host's or a director's card from its bridge. The card does not notice: its carrier stays.
func (l *Lab) Unplug(host, iface string) error {
	c, err := l.cable(host, iface)
	if err == nil {
		err = l.fabric.netlink.LinkSetNoMaster(c.port)
	}
	if err != nil {
		return fmt.Errorf("unplug %s of %s: %w", iface, host, err)
	}
	return nil
}

// Plug puts a card that was unplugged back on its bridge.
func (l *Lab) Plug(host, iface string) error {
	c, err := l.cable(host, iface)
	if err == nil {
		err = l.fabric.netlink.LinkSetMaster(c.port, c.bridge.link)
	}
	if err == nil {
		err = l.awaitForwarding(c.port)
	}
	if err != nil {
		return fmt.Errorf("plug in %s of %s: %w", iface, host, err)
	}
	return nil
}

func (l *Lab) cable(host, iface string) (cable, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.cables[host+" "+iface]
	if !ok {
		return cable{}, errors.New("there is no such card")
	}
	return c, nil
}

// awaitForwarding waits until a bridge port forwards, which the kernel decides in the background once both ends of
// the veth pair are up. A frame that came before would be lost, and ARP asks again only after a second.
func (l *Lab) awaitForwarding(port netlink.Link) error {
	const forwarding = "3" // BR_STATE_FORWARDING, include/uapi/linux/if_bridge.h
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	path := filepath.Join("/sys/class/net", port.Attrs().Name, "brport/state")
	err := Await(ctx, func() bool {
		var state []byte
		err := l.fabric.spawner.do(func() (err error) {
			state, err = os.ReadFile(path)
			return err
		})
		return err == nil && strings.TrimSpace(string(state)) == forwarding
	})
	if err != nil {
		return fmt.Errorf("wait until the bridge port forwards: %w", err)
	}
	return nil
}

// addPort makes a bridge port for a host's card; peer says what is at its other end.
func (l *Lab) addPort(host string, nic NIC, peer func(*netlink.Veth)) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("port%d", l.nextPort())
	attrs.MTU = nic.MTU
	if attrs.MTU == 0 {
		attrs.MTU = 1500
	}
	attrs.MasterIndex = nic.Bridge.link.Attrs().Index
	veth := netlink.NewVeth(attrs)
	veth.PeerHardwareAddr = nic.MAC
	peer(veth)
	if err := l.fabric.netlink.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make a veth pair: %w", err)
	}
	if err := l.fabric.netlink.LinkSetAlias(veth, host+" "+nic.Name); err != nil {
		return nil, fmt.Errorf("name the port: %w", err)
	}
	l.mu.Lock()
	l.cables[host+" "+nic.Name] = cable{port: veth, bridge: nic.Bridge}
	l.mu.Unlock()
	if err := l.fabric.netlink.LinkSetUp(veth); err != nil {
		return nil, fmt.Errorf("set the port up: %w", err)
	}
	return veth, nil
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

// AddAddress gives an interface an address, at once usable.
func (h *Node) AddAddress(iface string, p netip.Prefix) error {
	return h.onLink(iface, "add "+p.String(), func(link netlink.Link) error {
		return h.netlink.AddrReplace(link, address(p))
	})
}

// DelAddress takes an address from an interface.
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

// removeLinks removes all virtual interfaces, so that their peers go at once and not when the last reference to
// the namespace goes.
func (h *Node) removeLinks() error {
	links, err := h.netlink.LinkList()
	if err != nil {
		return fmt.Errorf("host %s: list interfaces: %w", h.name, err)
	}
	for _, link := range links {
		switch link.(type) {
		case *netlink.Veth, *netlink.Bridge, *netlink.Macvlan, *netlink.Dummy, *netlink.Vlan:
			// Gone already if its peer or parent was removed before.
			err := h.netlink.LinkDel(link)
			if err != nil && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("host %s: remove interface %s: %w", h.name, link.Attrs().Name, err)
			}
		}
	}
	return nil
}
