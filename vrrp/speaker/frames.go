package speaker

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const frameTimeout = 100 * time.Millisecond

// frameSender sends announcements. It keeps its sockets open, because the kernel takes milliseconds to close a packet
// socket.
type frameSender struct {
	arp arpSender
	mu  sync.Mutex
	ndp map[string]ndpSocket // by interface
}

// arpSender sends ARP packets on any interface. It does not block.
type arpSender struct {
	mu   sync.Mutex
	open bool
	fd   int
}

type ndpSocket struct {
	index int // of the interface when it was opened
	conn  *ndp.Conn
}

func newFrameSender() *frameSender { return &frameSender{ndp: map[string]ndpSocket{}} }

// Announce sends one packet that announces an address. For IPv4 it does not block.
func (s *frameSender) Announce(ifc netInterface, a netip.Addr, reply bool) (err error) {
	if a.Is4() {
		err = s.arp.announce(ifc, a, reply)
	} else {
		err = s.announceNDP(ifc, a)
	}
	if err != nil {
		return fmt.Errorf("announce %s on %s: %w%s", a, ifc.Name, err, capabilityHint(err, "CAP_NET_RAW"))
	}
	return nil
}

// announce broadcasts a gratuitous request or reply.
func (s *arpSender) announce(ifc netInterface, a netip.Addr, reply bool) error {
	op := arp.OperationRequest
	if reply {
		op = arp.OperationReply
	}
	frame, err := arpFrame(op, ifc.Hardware, a)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // protocol 0 receives nothing
		if err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		s.open, s.fd = true, fd
	}
	return sendFrame(s.fd, frame, ifc.Index)
}

// sendFrame sends an ARP packet with its Ethernet header, without blocking, like sender.send.
func sendFrame(fd int, frame []byte, index int) error {
	to := unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Protocol: htons(unix.ETH_P_ARP), Ifindex: int32(index)}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&frame[0])), uintptr(len(frame)),
		unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&to)), unix.SizeofSockaddrLinklayer)
	if errno != 0 {
		return errno
	}
	return nil
}

// announceNDP sends an unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6). If the socket fails, it is
// reopened once, because the interface or its own address may have been replaced.
func (s *frameSender) announceNDP(ifc netInterface, a netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.ndp[ifc.Name]; ok && c.index == ifc.Index && advertiseNeighbor(c.conn, ifc, a) == nil {
		return nil
	}
	s.drop(ifc.Name)
	conn, err := openNDP(ifc, a)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	s.ndp[ifc.Name] = ndpSocket{ifc.Index, conn}
	return advertiseNeighbor(conn, ifc, a)
}

func (s *frameSender) drop(name string) {
	if c, ok := s.ndp[name]; ok {
		delete(s.ndp, name)
		go c.conn.Close()
	}
}

func (s *frameSender) close() {
	s.arp.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.ndp {
		s.drop(name)
	}
}

func (s *arpSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.open = false
		go unix.Close(s.fd)
	}
}

func openNDP(ifc netInterface, a netip.Addr) (*ndp.Conn, error) {
	ifi := &net.Interface{Index: ifc.Index, Name: ifc.Name, HardwareAddr: ifc.Hardware}
	conn, _, err := ndp.Listen(ifi, ndp.LinkLocal)
	if err != nil {
		// Use the announced address: it is on the interface and not subject to duplicate address detection.
		conn, _, err = ndp.Listen(ifi, ndp.Addr(a.String()))
	}
	if err != nil {
		return nil, err
	}
	var nothing ipv6.ICMPFilter
	nothing.SetAll(true)
	if err := conn.SetICMPFilter(&nothing); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func advertiseNeighbor(c *ndp.Conn, ifc netInterface, a netip.Addr) error {
	if err := c.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return err
	}
	return c.WriteTo(advertisement(ifc.Hardware, a, forwards(ifc.Name)), nil, netip.IPv6LinkLocalAllNodes())
}

func arpFrame(op arp.Operation, mac net.HardwareAddr, a netip.Addr) ([]byte, error) {
	target := make(net.HardwareAddr, 6) // unknown in a request
	if op == arp.OperationReply {
		target = mac
	}
	p, err := arp.NewPacket(op, mac, a, target, a)
	if err != nil {
		return nil, err
	}
	payload, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	f := &ethernet.Frame{
		Destination: ethernet.Broadcast,
		Source:      mac,
		EtherType:   ethernet.EtherTypeARP,
		Payload:     payload,
	}
	return f.MarshalBinary()
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

// forwards reports whether the kernel is an IPv6 router on the interface.
func forwards(name string) bool {
	b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + name + "/forwarding")
	return err == nil && strings.TrimSpace(string(b)) != "0"
}
