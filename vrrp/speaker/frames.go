package speaker

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"unsafe"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"
)

// frameSender sends announcements on any interface. It does not block. It keeps its packet socket open, because the kernel
// takes milliseconds to close one.
type frameSender struct {
	mu   sync.Mutex
	open bool
	fd   int
}

// Announce sends one packet that announces an address.
func (s *frameSender) Announce(ifc netInterface, a netip.Addr, reply bool) error {
	frame, protocol, err := announcementFrame(ifc, a, reply)
	if err == nil {
		err = s.send(frame, protocol, ifc.Index)
	}
	if err != nil {
		return fmt.Errorf("announce %s on %s: %w%s", a, ifc.Name, err, capabilityHint(err, "CAP_NET_RAW"))
	}
	return nil
}

func announcementFrame(ifc netInterface, a netip.Addr, reply bool) (frame []byte, protocol uint16, err error) {
	switch {
	case a.Is6():
		frame, err = neighborFrame(ifc.Hardware, a, forwards(ifc.Name))
		return frame, unix.ETH_P_IPV6, err
	case reply:
		frame, err = arpFrame(arp.OperationReply, ifc.Hardware, a)
	default:
		frame, err = arpFrame(arp.OperationRequest, ifc.Hardware, a)
	}
	return frame, unix.ETH_P_ARP, err
}

// send sends a packet with its Ethernet header, without blocking, like sender.send.
func (s *frameSender) send(frame []byte, protocol uint16, index int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0 receives nothing
		if err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		s.open, s.fd = true, fd
	}
	to := unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: htons(protocol), Ifindex: int32(index)}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&frame[0])), uintptr(len(frame)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&to)), unix.SizeofSockaddrLinklayer)
	if errno != 0 {
		return errno
	}
	return nil
}

func (s *frameSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.open = false
		go unix.Close(s.fd)
	}
}

// arpFrame returns a gratuitous ARP request or reply to all hosts (RFC 5227, 3), with the padding of a shortest Ethernet frame. A
// thousand of them are sent at a takeover, so it does without packages that allocate parts.
func arpFrame(op arp.Operation, mac net.HardwareAddr, a netip.Addr) ([]byte, error) {
	if len(mac) != 6 || !a.Is4() {
		return nil, fmt.Errorf("no ARP for %s with hardware address %q", a, mac)
	}
	target := net.HardwareAddr{0, 0, 0, 0, 0, 0} // unknown in a request
	if op == arp.OperationReply {
		target = mac
	}
	ip := a.As4()
	f := append(make([]byte, 0, shortestFrame), ethernet.Broadcast...)
	f = append(f, mac...)
	f = binary.BigEndian.AppendUint16(f, uint16(ethernet.EtherTypeARP))
	f = append(f, 0, 1, 8, 0, 6, 4) // Ethernet, IPv4, and the lengths of their addresses
	f = binary.BigEndian.AppendUint16(f, uint16(op))
	f = append(append(append(append(f, mac...), ip[:]...), target...), ip[:]...)
	return f[:shortestFrame], nil
}

// shortestFrame is the least length of an Ethernet frame without its checksum.
const shortestFrame = 60

// neighborFrame returns an unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6). Its source is the announced
// address, which is on the interface, unlike a link-local one, which a macvlan does not have.
func neighborFrame(mac net.HardwareAddr, a netip.Addr, router bool) ([]byte, error) {
	to := netip.IPv6LinkLocalAllNodes()
	payload, err := ndp.MarshalMessageChecksum(advertisement(mac, a, router), a, to)
	if err != nil {
		return nil, err
	}
	frame := append(append(multicastMAC(to), mac...), 0x86, 0xdd)
	return append(appendIPv6Header(frame, ipv6Header{next: unix.IPPROTO_ICMPV6, length: len(payload), from: a, to: to}), payload...), nil
}

func advertisement(mac net.HardwareAddr, a netip.Addr, router bool) *ndp.NeighborAdvertisement {
	return &ndp.NeighborAdvertisement{
		Router:        router,
		Override:      true,
		TargetAddress: a,
		Options: []ndp.Option{&ndp.LinkLayerAddress{
			Direction: ndp.Target,
			Addr:      mac,
		}},
	}
}

// forwards reports whether the kernel is an IPv6 router on the interface. The kernel answers without waiting for a lock, so
// the calls bypass the Go scheduler, like sender.send.
func forwards(name string) bool {
	path, err := unix.BytePtrFromString(settingPath("ipv6", name, "forwarding"))
	if err != nil {
		return false
	}
	at := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(path)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return false
	}
	var value [1]byte
	n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&value[0])), 1)
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	return errno == 0 && n == 1 && value[0] != '0'
}
