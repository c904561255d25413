package speaker

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// socketKey identifies a receive socket, which all instances of a family and multicast group on an interface share. That of
// a macvlan receives only what the socket of the interface below does not.
type socketKey struct {
	Interface string
	Family    vrrp.Family
	Group     netip.Addr // zero: the family's standard one
	From      [6]byte    // receive only frames from this MAC address; zero: from all
	Frames    bool       // instead: sends Ethernet frames and receives nothing
}

// group returns the multicast address that the socket joins.
func (k socketKey) group() netip.Addr {
	if k.Group.IsValid() {
		return k.Group
	}
	return vrrp.MulticastAddress(k.Family)
}

// socket is a raw socket bound to an interface. Adverts are received and sent through it. The loop's poller owns the
// descriptor once it is open.
type socket struct {
	key   socketKey
	index int // of the interface when it was opened
	fd    int
	queue receiveQueue
}

// receiveQueue describes a socket's receive queue, to judge the age of the packets in it.
type receiveQueue struct {
	emptied time.Time // before this time, it was empty; zero if it was never read

	// The kernel dropped packets since the last check of an old packet, because the queue was full.
	checked, overflowed bool
	drops               uint32
}

// empty records that all packets were read at a time.
func (q *receiveQueue) empty(now time.Time) { q.emptied, q.checked, q.overflowed = now, false, false }

// overflowed reports whether packets newer than those in the queue may have been dropped.
func (s *socket) overflowed() bool {
	q := &s.queue
	if q.checked {
		return q.overflowed
	}
	q.checked = true
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	drops := info[unix.SK_MEMINFO_DROPS]
	q.overflowed = errno != 0 || drops != q.drops
	q.drops = drops
	return q.overflowed
}

// Buffer sizes in bytes: a queued advert uses about 800 bytes, and all 255 masters of a network may send at the same time.
const (
	receiveBuffer = 4 << 20
	sendBuffer    = 1 << 20
)

const (
	classSelector6 = 0xc0 // TOS internetwork control, as sent by keepalived and routers
	priorityCtl    = 7    // TC_PRIO_CONTROL of linux/pkt_sched.h
)

type socketOption struct {
	level, name, value int
	optional           bool // ignore errors from older kernels or missing capabilities
}

func ipv4Options() []socketOption {
	return []socketOption{
		{unix.IPPROTO_IP, unix.IP_TOS, classSelector6, false},
		{unix.IPPROTO_IP, unix.IP_TTL, vrrp.HopLimit, false},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, vrrp.HopLimit, false},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0, false},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0, false},
	}
}

func ipv6Options(index int) []socketOption {
	return []socketOption{
		{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, classSelector6, false},
		{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, vrrp.HopLimit, false},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, vrrp.HopLimit, false},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0, false},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index, false},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0, true}, // since Linux 4.20
		{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1, false},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1, false},
	}
}

func commonOptions() []socketOption {
	return []socketOption{
		// After IP_TOS, which also sets a priority.
		{unix.SOL_SOCKET, unix.SO_PRIORITY, priorityCtl, true},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1, true},
		{unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer, true},
		{unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer, true},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer, true},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer, true},
	}
}

// openSocket opens the socket of a family on an interface. It may block on the kernel's routing lock.
func openSocket(ifc netInterface, key socketKey) (*socket, error) {
	if key.Frames {
		return openFrames(ifc, key)
	}
	f := key.Family
	domain := unix.AF_INET
	if f == vrrp.IPv6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, vrrp.Protocol)
	if err == nil {
		if err = setUp(fd, ifc, key); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s socket for VRRP on %s: %w%s", f, ifc.Name, err, capabilityHint(err, "CAP_NET_RAW"))
	}
	return &socket{key: key, index: ifc.Index, fd: fd}, nil
}

func setUp(fd int, ifc netInterface, key socketKey) error {
	if err := attachFilter(fd, refuseAll); err != nil {
		return err
	}
	if err := unix.BindToDevice(fd, ifc.Name); err != nil {
		return fmt.Errorf("bind to device: %w", err)
	}
	options := ipv4Options()
	if key.Family == vrrp.IPv6 {
		options = ipv6Options(ifc.Index)
	}
	for _, o := range append(options, commonOptions()...) {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil && !o.optional {
			return fmt.Errorf("set socket option %d/%d to %d: %w", o.level, o.name, o.value, err)
		}
	}
	if err := join(fd, ifc.Index, key.group()); err != nil {
		return fmt.Errorf("join group %s: %w", key.group(), err)
	}
	return attachFilter(fd, filterFor(key))
}

func join(fd, index int, group netip.Addr) error {
	if group.Is6() {
		mreq := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, mreq)
	}
	mreq := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, mreq); err != nil {
		return err
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq)
}

func (s *socket) close() { unix.Close(s.fd) }

// capabilityHint returns the remedy if the kernel refused an operation because a capability is missing.
func capabilityHint(err error, capability string) string {
	if errors.Is(err, unix.EPERM) {
		return ": give the process " + capability
	}
	return ""
}
