package realserver_test

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
)

const askTimeout = 5 * time.Second

// answersARP reports whether a host answers ARP for the address. It then asks for the control address, which is
// answered: by that time an answer for the first one would have arrived.
func (l lan) answersARP(t *testing.T, address, control string) (answered bool) {
	t.Helper()
	err := l.peer.Do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		conn, err := packet.Listen(ifi, packet.Raw, int(ethernet.EtherTypeARP), nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(askTimeout)); err != nil {
			return err
		}
		for _, target := range []string{address, control} {
			p, err := arp.NewPacket(arp.OperationRequest, ifi.HardwareAddr, netip.MustParseAddr("202.99.59.1"), net.HardwareAddr{0, 0, 0, 0, 0, 0}, netip.MustParseAddr(target))
			if err != nil {
				return err
			}
			body, err := p.MarshalBinary()
			if err != nil {
				return err
			}
			frame := ethernet.Frame{Destination: ethernet.Broadcast, Source: ifi.HardwareAddr, EtherType: ethernet.EtherTypeARP, Payload: body}
			raw, err := frame.MarshalBinary()
			if err != nil {
				return err
			}
			if _, err := conn.WriteTo(raw, &packet.Addr{HardwareAddr: ethernet.Broadcast}); err != nil {
				return err
			}
		}
		buf := make([]byte, 1500)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return err
			}
			var frame ethernet.Frame
			var reply arp.Packet
			if frame.UnmarshalBinary(buf[:n]) != nil || reply.UnmarshalBinary(frame.Payload) != nil || reply.Operation != arp.OperationReply {
				continue
			}
			switch reply.SenderIP.String() {
			case address:
				answered = true
			case control:
				return nil
			}
		}
	})
	if err != nil {
		t.Fatalf("ARP request for %s: %v", address, err)
	}
	return answered
}

// answersNDP is answersARP for IPv6: it asks by multicast, as for address resolution, and by unicast, as a reachability
// probe does.
func (l lan) answersNDP(t *testing.T, address, control netip.Addr) (answered bool) {
	t.Helper()
	err := l.peer.Do(func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		// Package net remembers the index of a zone's name for a minute, also that of another namespace.
		ifi.Name = strconv.Itoa(ifi.Index)
		conn, _, err := ndp.Listen(ifi, ndp.Addr("fd00::1"))
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(askTimeout)); err != nil {
			return err
		}
		ask := func(target, to netip.Addr) error {
			return conn.WriteTo(&ndp.NeighborSolicitation{TargetAddress: target,
				Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: ifi.HardwareAddr}}}, nil, to)
		}
		group, err := ndp.SolicitedNodeMulticast(address)
		if err != nil {
			return err
		}
		for _, to := range []netip.Addr{group, netip.MustParseAddr("ff02::1"), control} {
			if err := ask(address, to); err != nil {
				return err
			}
		}
		if err := ask(control, control); err != nil {
			return err
		}
		for {
			m, _, _, err := conn.ReadFrom()
			if err != nil {
				return err
			}
			if na, ok := m.(*ndp.NeighborAdvertisement); ok {
				answered = answered || na.TargetAddress == address
				if na.TargetAddress == control {
					return nil
				}
			}
		}
	})
	if err != nil {
		t.Fatalf("neighbour solicitation for %s: %v", address, err)
	}
	return answered
}
