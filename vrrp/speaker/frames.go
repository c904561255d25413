package speaker

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/net/ipv6"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const frameTimeout = 100 * time.Millisecond

// frameSender sends announcements. It keeps its sockets open, because the kernel takes milliseconds to close a packet
// socket.
type frameSender struct {
	mu    sync.Mutex
	conns map[socketKey]frameConn
}

type frameConn struct {
	index int // of the interface when it was opened
	announcementConn
}

// announcementConn announces an address and returns the number of packets sent.
type announcementConn interface {
	announce(ifc netInterface, a netip.Addr) (int, error)
	io.Closer
}

func newFrameSender() *frameSender { return &frameSender{conns: map[socketKey]frameConn{}} }

// Announce announces an address. If the socket fails, Announce reopens it once, because the interface or its own address
// may have been replaced.
func (s *frameSender) Announce(ifc netInterface, a netip.Addr) (int, error) {
	key := socketKey{Interface: ifc.Name, Family: vrrp.IPv4}
	if a.Is6() {
		key.Family = vrrp.IPv6
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.conns[key]; ok && c.index == ifc.Index {
		if n, err := c.announce(ifc, a); err == nil {
			return n, nil
		}
	}
	s.drop(key)
	c, err := openAnnouncementConn(ifc, a)
	if err != nil {
		return 0, fmt.Errorf("open socket for announcements on %s: %w%s", key.Interface, err, capabilityHint(err, "CAP_NET_RAW"))
	}
	s.conns[key] = frameConn{ifc.Index, c}
	n, err := c.announce(ifc, a)
	if err != nil {
		return n, fmt.Errorf("announce %s on %s: %w", a, ifc.Name, err)
	}
	return n, nil
}

func (s *frameSender) drop(key socketKey) {
	if c, ok := s.conns[key]; ok {
		delete(s.conns, key)
		go c.Close()
	}
}

func (s *frameSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.conns {
		s.drop(key)
	}
}

func openAnnouncementConn(ifc netInterface, a netip.Addr) (announcementConn, error) {
	ifi := &net.Interface{Index: ifc.Index, Name: ifc.Name, HardwareAddr: ifc.Hardware}
	if a.Is4() {
		conn, err := packet.Listen(ifi, packet.Raw, 0, nil) // protocol 0 receives nothing
		return arpConn{conn}, err
	}
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
	return ndpConn{conn}, nil
}

type arpConn struct{ *packet.Conn }

// announce broadcasts a gratuitous request and a gratuitous reply, because some receivers accept only one of them.
func (c arpConn) announce(ifc netInterface, a netip.Addr) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return 0, err
	}
	to := &packet.Addr{HardwareAddr: ethernet.Broadcast}
	for sent, op := range []arp.Operation{arp.OperationRequest, arp.OperationReply} {
		frame, err := arpFrame(op, ifc.Hardware, a)
		if err == nil {
			_, err = c.WriteTo(frame, to)
		}
		if err != nil {
			return sent, err
		}
	}
	return 2, nil
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

type ndpConn struct{ *ndp.Conn }

// announce sends an unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6).
func (c ndpConn) announce(ifc netInterface, a netip.Addr) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return 0, err
	}
	if err := c.WriteTo(advertisement(ifc.Hardware, a, forwards(ifc.Name)), nil, netip.IPv6LinkLocalAllNodes()); err != nil {
		return 0, err
	}
	return 1, nil
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
