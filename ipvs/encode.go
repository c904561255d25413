package ipvs

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// encode encodes a service, and one of its destinations if set.
func encode(service, destination func(*netlink.AttributeEncoder)) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Nested(ipvsnl.AttrService, func(ae *netlink.AttributeEncoder) error { service(ae); return nil })
	if destination != nil {
		ae.Nested(ipvsnl.AttrDest, func(ae *netlink.AttributeEncoder) error { destination(ae); return nil })
	}
	return ae.Encode()
}

// encode writes the attributes that identify the service.
func (k ServiceKey) encode(ae *netlink.AttributeEncoder) {
	k = k.normal()
	ae.Uint16(serviceFamily, uint16(k.Family))
	if k.Mark != 0 {
		ae.Uint32(serviceMark, k.Mark)
		return
	}
	ae.Uint16(serviceProtocol, uint16(k.Protocol))
	ae.Bytes(serviceAddress, encodeAddress(k.Address))
	ae.Bytes(servicePort, encodePort(k.Port))
}

// encode writes all attributes of the service.
func (s Service) encode(ae *netlink.AttributeEncoder) {
	s.ServiceKey = s.ServiceKey.normal()
	s.ServiceKey.encode(ae)
	ae.String(serviceScheduler, s.Scheduler)
	if s.PersistenceEngine != "" {
		ae.String(servicePEName, s.PersistenceEngine)
	}
	flags := binary.NativeEndian.AppendUint32(nil, uint32(s.Flags&^FlagHashed))
	ae.Bytes(serviceFlags, binary.NativeEndian.AppendUint32(flags, ^uint32(0)))
	ae.Uint32(serviceTimeout, s.PersistenceTimeout)
	if s.Family == IPv6 {
		ae.Uint32(serviceNetmask, s.Netmask)
	} else {
		ae.Bytes(serviceNetmask, binary.BigEndian.AppendUint32(nil, s.Netmask))
	}
}

// encode writes the attributes that identify the destination.
func (k DestinationKey) encode(ae *netlink.AttributeEncoder) {
	ae.Uint16(destFamily, uint16(family(k.Address)))
	ae.Bytes(destAddress, encodeAddress(k.Address))
	ae.Bytes(destPort, encodePort(k.Port))
}

// encode writes all attributes of the destination.
func (d Destination) encode(ae *netlink.AttributeEncoder) {
	d.DestinationKey.encode(ae)
	ae.Uint32(destForward, uint32(d.Forward))
	ae.Uint32(destWeight, d.Weight)
	ae.Uint32(destUpperThreshold, d.UpperThreshold)
	ae.Uint32(destLowerThreshold, d.LowerThreshold)
	ae.Uint8(destTunnelType, uint8(d.TunnelType))
	ae.Bytes(destTunnelPort, encodePort(d.TunnelPort))
	ae.Uint16(destTunnelFlags, uint16(d.TunnelFlags))
}

// encodeAddress writes union nf_inet_addr: 16 bytes, of which IPv4 uses the first four.
func encodeAddress(a netip.Addr) []byte {
	b := make([]byte, 16)
	copy(b, a.AsSlice())
	return b
}

func encodePort(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }
