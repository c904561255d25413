package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// plug creates a bridge port: a tap whose other end the machine's kernel opens. Without power it has no carrier.
func (m *Machine) plug(nic NIC) error {
	port, err := m.addTap(fmt.Sprintf("port%d", m.lab.nextPort()), nic.MTU, nic.Bridge.link.Attrs().Index)
	if err != nil {
		return err
	}
	if err := m.lab.addCable(m.config.Name, nic, port); err != nil {
		return err
	}
	m.ports = append(m.ports, port)
	m.guest.NICs = append(m.guest.NICs, guest.NIC{
		Device: m.addCard(port.Attrs().Name, nic.MAC), Name: nic.Name, MTU: nic.MTU, Addresses: nic.Addresses,
	})
	return nil
}

// tapQueue is the number of frames queued for a kernel that does not read them, as in the rings of good cards. The usual
// 500 are lost within 50 ms at 10,000 per second, and a busy host can stop a test kernel for longer.
const tapQueue = 4096

// addTap creates a tap in the fabric. bridge is the index of its bridge, or 0.
func (m *Machine) addTap(name string, mtu, bridge int) (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = name, mtu
	tap := &netlink.Tuntap{
		LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP,
		Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	fabric := m.lab.fabric
	// Taps are created by an ioctl of /dev/net/tun, not through the namespace's netlink.
	if err := fabric.Do(func() error { return netlink.LinkAdd(tap) }); err != nil {
		return nil, fmt.Errorf("make tap %s: %w", name, err)
	}
	link, err := fabric.Link(name)
	if err != nil {
		return nil, err
	}
	err = fabric.netlink.LinkSetTxQLen(link, tapQueue)
	if err == nil && mtu != 0 {
		err = fabric.netlink.LinkSetMTU(link, mtu)
	}
	if err == nil && bridge != 0 {
		err = fabric.netlink.LinkSetMasterByIndex(link, bridge)
	}
	if err == nil {
		err = fabric.netlink.LinkSetUp(link)
	}
	if err != nil {
		return nil, fmt.Errorf("set up tap %s: %w", name, err)
	}
	return link, nil
}

// addCard adds an interface on a tap to the kernel's command line and returns its name. Without gro=1 it cannot receive
// the large segments that the outer kernel sends, and TCP towards it stalls.
func (m *Machine) addCard(tap string, mac net.HardwareAddr) string {
	device := fmt.Sprintf("vec%d", len(m.cards))
	m.cards = append(m.cards, fmt.Sprintf("%s:transport=tap,ifname=%s,mac=%s,depth=64,gro=1", device, tap, mac))
	return device
}

func (m *Machine) plugManagement(number int) error {
	tap, err := m.addTap(fmt.Sprintf("mgmt%d", number), 0, 0)
	if err != nil {
		return err
	}
	outside := netip.AddrFrom4([4]byte{169, 254, byte(number), 1})
	inside := outside.Next()
	if err := m.lab.fabric.AddAddress(tap.Attrs().Name, netip.PrefixFrom(outside, 30)); err != nil {
		return err
	}
	m.guest.Management = guest.Management{
		Device:  m.addCard(tap.Attrs().Name, net.HardwareAddr{0x02, 0x1a, 0xb1, 0, 0, byte(number)}),
		Address: netip.PrefixFrom(inside, 30),
		Listen:  netip.AddrPortFrom(inside, agentPort),
		Ready:   netip.AddrPortFrom(outside, 0),
	}
	return nil
}
