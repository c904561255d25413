package speaker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// macvlan describes an interface for a virtual MAC address.
type macvlan struct {
	name, base string
	family     vrrp.Family
	hardware   net.HardwareAddr
}

// Parameters of an interface (enum of linux/ip.h).
const (
	devconfReversePath = 8
	devconfAnnounce    = 18
	devconfIgnore      = 19
)

// arpSettings are the parameters of the interface below, which would otherwise answer for the virtual addresses, and name
// them in its own ARP requests, with its own MAC address.
type arpSettings struct{ ignore, announce uint32 }

// macvlans creates and removes macvlans. It belongs to one goroutine.
type macvlans struct {
	handle *netlink.Handle
	former map[string]arpSettings // of the interfaces below, before the first macvlan
	over   map[string]string      // the interface below each macvlan
}

func newMacvlans(h *netlink.Handle) *macvlans {
	return &macvlans{handle: h, former: map[string]arpSettings{}, over: map[string]string{}}
}

// The alias of a macvlan that lvs-ha creates holds the former settings of the interface below, for the speaker that removes
// the macvlan.

func aliasOf(base string, a arpSettings) string {
	return fmt.Sprintf("%s%s had arp_ignore=%d arp_announce=%d", vrrp.VMACAlias, base, a.ignore, a.announce)
}

// formerSettings returns the content of an alias.
func formerSettings(alias string) (base string, a arpSettings, ok bool) {
	n, err := fmt.Sscanf(alias, vrrp.VMACAlias+"%s had arp_ignore=%d arp_announce=%d", &base, &a.ignore, &a.announce)
	return base, a, n == 3 && err == nil
}

// Prepare creates a macvlan, or adopts the one of a killed speaker. It returns the index. The macvlan is down, unless it was
// adopted with addresses.
func (m *macvlans) Prepare(v macvlan) (int, error) {
	base, err := m.handle.LinkByName(v.base)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", v.base, err)
	}
	link, err := m.find(v, base)
	if err != nil {
		return 0, err
	}
	if link == nil {
		if link, err = m.create(v, base); err != nil {
			return 0, err
		}
	}
	if err := m.configure(v, link, base); err != nil {
		return 0, err
	}
	addresses, err := m.handle.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return 0, fmt.Errorf("list addresses of %s: %w", v.name, err)
	}
	index := link.Attrs().Index
	if len(addresses) > 0 {
		return index, nil
	}
	return index, m.Set(index, false, nil)
}

// find returns the macvlan if it exists and can be adopted. It removes one that was created for other settings.
func (m *macvlans) find(v macvlan, base netlink.Link) (netlink.Link, error) {
	link, err := m.handle.LinkByName(v.name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", v.name, err)
	}
	a := link.Attrs()
	found, isMacvlan := link.(*netlink.Macvlan)
	ours := isMacvlan && m.recognize(link)
	fits := isMacvlan && found.Mode == netlink.MACVLAN_MODE_PRIVATE && a.ParentIndex == lowest(base) && bytes.Equal(a.HardwareAddr, v.hardware)
	// A speaker that is killed after it has created the macvlan leaves it without alias.
	if fits && !ours && a.RawFlags&unix.IFF_UP == 0 {
		return link, nil
	}
	if !ours {
		return nil, fmt.Errorf("%s exists and does not belong to lvs-ha: set vmac.interface to another name, or remove it: ip link delete %s", v.name, v.name)
	}
	if fits {
		return link, nil
	}
	if err := m.handle.LinkDel(link); err != nil {
		return nil, fmt.Errorf("remove %s, which has other settings: %w", v.name, err)
	}
	m.forget(v.name)
	return nil, nil
}

// lowest returns the index of the interface that the kernel puts a macvlan on (macvlan_common_newlink,
// drivers/net/macvlan.c).
func lowest(base netlink.Link) int {
	if below, ok := base.(*netlink.Macvlan); ok {
		return below.ParentIndex
	}
	return base.Attrs().Index
}

// create creates a macvlan. In private mode, it also receives frames from its own MAC address, that is, from another
// master.
func (m *macvlans) create(v macvlan, base netlink.Link) (netlink.Link, error) {
	a := netlink.NewLinkAttrs()
	a.Name, a.ParentIndex, a.HardwareAddr, a.Group = v.name, base.Attrs().Index, v.hardware, base.Attrs().Group
	err := retryTransient(func() error {
		return m.handle.LinkAdd(&netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_PRIVATE})
	})
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("create macvlan %s on %s: %w: it is a port of a bridge or bond; use that as the interface", v.name, v.base, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil, fmt.Errorf("create macvlan %s on %s: %w: load the kernel module: modprobe macvlan", v.name, v.base, err)
	case err != nil:
		return nil, fmt.Errorf("create macvlan %s on %s: %w%s", v.name, v.base, err, capabilityHint(err, "CAP_NET_ADMIN"))
	}
	link, err := m.handle.LinkByName(v.name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", v.name, err)
	}
	return link, nil
}

// configure sets the parameters of a macvlan and of the interface below.
func (m *macvlans) configure(v macvlan, link, base netlink.Link) error {
	if _, known := m.former[v.base]; !known {
		m.former[v.base] = arpSettings{readSetting("ipv4", v.base, "arp_ignore"), readSetting("ipv4", v.base, "arp_announce")}
	}
	m.over[v.name] = v.base
	index := link.Attrs().Index
	err := m.handle.LinkSetAlias(link, aliasOf(v.base, m.former[v.base]))
	if err == nil {
		// Otherwise the kernel adds a link-local address that contains the virtual MAC address (RFC 9568, 7.4).
		err = m.handle.LinkSetIP6AddrGenMode(link, ipv6AddrGenNone)
	}
	if err == nil {
		// Answer only for the virtual addresses; and accept packets although the way back is through the interface below:
		// 2 prevails over a strict net.ipv4.conf.all.rp_filter.
		err = setDevconf(index, map[uint16]uint32{devconfIgnore: 1, devconfReversePath: 2})
	}
	if err == nil {
		if v.family == vrrp.IPv4 {
			err = writeSetting("ipv6", v.name, "disable_ipv6", 1)
		} else {
			err = writeSetting("ipv6", v.name, "accept_ra", 0)
		}
	}
	if err == nil && v.family == vrrp.IPv4 {
		err = m.setARP(base.Attrs().Index, arpSettings{ignore: max(m.former[v.base].ignore, 1), announce: 2})
	}
	if err != nil {
		return fmt.Errorf("configure %s: %w", v.name, err)
	}
	return nil
}

const ipv6AddrGenNone = 1 // IN6_ADDR_GEN_MODE_NONE

func (m *macvlans) setARP(index int, a arpSettings) error {
	return setDevconf(index, map[uint16]uint32{devconfIgnore: a.ignore, devconfAnnounce: a.announce})
}

// Set sets an interface up or down, and its MAC address if one is given.
func (m *macvlans) Set(index int, up bool, mac net.HardwareAddr) error {
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Change = int32(index), unix.IFF_UP
	if up {
		msg.Flags = unix.IFF_UP
	}
	req.AddData(msg)
	if mac != nil {
		req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	}
	err := retryTransient(func() error {
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("change macvlan: %w", err)
	}
	return nil
}

// Forward makes the kernel act as a router on a macvlan if it is one on the others. If not, it is silent when it is set up:
// it does not report the groups of routers. It forwards packets regardless (ip6_forward, net/ipv6/ip6_output.c).
func (m *macvlans) Forward(name string, on bool) error {
	value := uint32(0)
	if on {
		value = readSetting("ipv6", "all", "forwarding")
	}
	if readSetting("ipv6", name, "forwarding") == value {
		return nil
	}
	return writeSetting("ipv6", name, "forwarding", value)
}

// Discard removes a macvlan that lvs-ha created, and after the last one restores the interface below.
func (m *macvlans) Discard(name string) error {
	link, err := m.handle.LinkByName(name)
	if err == nil && m.recognize(link) {
		err = m.handle.LinkDel(link)
	}
	m.forget(name)
	if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove macvlan %s: %w", name, err)
	}
	return nil
}

// recognize reports whether lvs-ha created a macvlan. If so, it takes the former settings of the interface below from the
// alias, unless they are known.
func (m *macvlans) recognize(link netlink.Link) bool {
	base, settings, ours := formerSettings(link.Attrs().Alias)
	if !ours {
		return false
	}
	if _, known := m.former[base]; !known {
		m.former[base] = settings
	}
	m.over[link.Attrs().Name] = base
	return true
}

// forget restores the interface below a removed macvlan, if it was the last one.
func (m *macvlans) forget(name string) {
	base := m.over[name]
	delete(m.over, name)
	m.restore(base)
}

// restore restores the parameters of an interface below if it has no macvlan left.
func (m *macvlans) restore(base string) {
	for _, other := range m.over {
		if other == base {
			return
		}
	}
	former, known := m.former[base]
	delete(m.former, base)
	if link, err := m.handle.LinkByName(base); err == nil && known {
		_ = m.setARP(link.Attrs().Index, former) // it may be disappearing
	}
}

// Sweep removes all macvlans that lvs-ha created, except some.
func (m *macvlans) Sweep(except map[string]bool) error {
	links, err := m.handle.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var names []string
	for _, l := range links {
		if m.recognize(l) && !except[l.Attrs().Name] {
			names = append(names, l.Attrs().Name)
			if err := m.handle.LinkSetGroup(l, sweepGroup); err != nil {
				return fmt.Errorf("remove macvlan %s: %w", l.Attrs().Name, err)
			}
		}
	}
	if len(names) > 0 {
		// All at once: the kernel takes some 20 ms for one, and 70 ms for a hundred.
		req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
		req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(sweepGroup)))
		if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
			return fmt.Errorf("remove macvlans %s: %w", strings.Join(names, ", "), err)
		}
	}
	for _, name := range names {
		m.forget(name)
	}
	return nil
}

// sweepGroup is the link group of macvlans that are about to be removed. It should not occur otherwise.
const sweepGroup = 0x6c76_6861 // "lvha"

// setDevconf sets IPv4 parameters of an interface by netlink, which is possible where /proc/sys is read-only.
func setDevconf(index int, values map[uint16]uint32) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	conf := spec.AddRtAttr(unix.AF_INET, nil).AddRtAttr(unix.IFLA_INET_CONF, nil)
	for parameter, value := range values {
		conf.AddRtAttr(int(parameter), binary.NativeEndian.AppendUint32(nil, value))
	}
	req.AddData(spec)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("set IPv4 parameters: %w", err)
	}
	return nil
}

func settingPath(family, ifc, name string) string {
	return "/proc/sys/net/" + family + "/conf/" + ifc + "/" + name
}

// readSetting returns a parameter of an interface, or the kernel's default of 0 if it cannot be read.
func readSetting(family, ifc, name string) uint32 {
	b, err := os.ReadFile(settingPath(family, ifc, name))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	return uint32(n)
}

// writeSetting changes a parameter of an interface. A kernel without IPv6 does not have it.
func writeSetting(family, ifc, name string, value uint32) error {
	err := os.WriteFile(settingPath(family, ifc, name), []byte(strconv.FormatUint(uint64(value), 10)), 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EROFS) { // as in a container; the setting is a precaution
		return nil
	}
	return err
}
