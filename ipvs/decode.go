package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// decodeNested finds one nested attribute of an answer and decodes it with fn.
func decodeNested(b []byte, attr uint16, fn func(*netlink.AttributeDecoder) error) error {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return err
	}
	found := false
	for ad.Next() {
		if ad.Type() == attr {
			found = true
			ad.Nested(fn)
		}
	}
	if err := ad.Err(); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("attribute %d is missing", attr)
	}
	return nil
}

func decodeService(b []byte) (ServiceState, error) {
	var s ServiceState
	var address, netmask []byte
	var stats32, stats64 Stats
	var has64 bool
	err := decodeNested(b, ipvsnl.AttrService, func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			switch ad.Type() {
			case serviceFamily:
				s.Family = Family(ad.Uint16())
			case serviceProtocol:
				s.Protocol = Protocol(ad.Uint16())
			case serviceAddress:
				address = ad.Bytes()
			case servicePort:
				ad.Do(decodePort(&s.Port))
			case serviceMark:
				s.Mark = ad.Uint32()
			case serviceScheduler:
				s.Scheduler = ad.String()
			case servicePEName:
				s.PersistenceEngine = ad.String()
			case serviceFlags:
				ad.Do(decodeFlags(&s.Flags))
			case serviceTimeout:
				s.PersistenceTimeout = ad.Uint32()
			case serviceNetmask:
				netmask = ad.Bytes()
			case serviceStats:
				ad.Nested(stats32.decode)
			case serviceStats64:
				has64 = true
				ad.Nested(stats64.decode)
			}
		}
		return nil
	})
	if err != nil {
		return ServiceState{}, fmt.Errorf("decoding a service: %w", err)
	}
	if s.Stats = stats32; has64 {
		s.Stats = stats64
	}
	if s.Family != IPv4 && s.Family != IPv6 {
		return ServiceState{}, fmt.Errorf("decoding a service: unknown address family %d", s.Family)
	}
	if s.Mark == 0 {
		if s.Address, err = decodeAddress(s.Family, address); err != nil {
			return ServiceState{}, fmt.Errorf("decoding a service: %w", err)
		}
	}
	if s.Netmask, err = decodeNetmask(s.Family, netmask); err != nil {
		return ServiceState{}, fmt.Errorf("decoding a service: %w", err)
	}
	s.Flags &^= FlagHashed
	return s, nil
}

// decodeDestination decodes a destination; of is its service's family, which kernels before 3.18 leave out.
func decodeDestination(b []byte, of Family) (DestinationState, error) {
	var d DestinationState
	var address []byte
	var stats32, stats64 Stats
	var has64 bool
	fam := of
	err := decodeNested(b, ipvsnl.AttrDest, func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			switch ad.Type() {
			case destFamily:
				fam = Family(ad.Uint16())
			case destAddress:
				address = ad.Bytes()
			case destPort:
				ad.Do(decodePort(&d.Port))
			case destForward:
				d.Forward = ForwardMethod(ad.Uint32())
			case destWeight:
				d.Weight = ad.Uint32()
			case destUpperThreshold:
				d.UpperThreshold = ad.Uint32()
			case destLowerThreshold:
				d.LowerThreshold = ad.Uint32()
			case destActive:
				d.Active = ad.Uint32()
			case destInactive:
				d.Inactive = ad.Uint32()
			case destPersistent:
				d.Persistent = ad.Uint32()
			case destTunnelType:
				d.TunnelType = TunnelType(ad.Uint8())
			case destTunnelPort:
				ad.Do(decodePort(&d.TunnelPort))
			case destTunnelFlags:
				d.TunnelFlags = TunnelFlags(ad.Uint16())
			case destStats:
				ad.Nested(stats32.decode)
			case destStats64:
				has64 = true
				ad.Nested(stats64.decode)
			}
		}
		return nil
	})
	if err != nil {
		return DestinationState{}, fmt.Errorf("decoding a destination: %w", err)
	}
	if d.Stats = stats32; has64 {
		d.Stats = stats64
	}
	if d.Address, err = decodeAddress(fam, address); err != nil {
		return DestinationState{}, fmt.Errorf("decoding a destination: %w", err)
	}
	return d, nil
}

// decode reads statistics of 32 or 64 bits.
func (s *Stats) decode(ad *netlink.AttributeDecoder) error {
	fields := [...]*uint64{
		statsConnections: &s.Connections, statsInPackets: &s.InPackets, statsOutPackets: &s.OutPackets,
		statsInBytes: &s.InBytes, statsOutBytes: &s.OutBytes, statsConnectionRate: &s.ConnectionRate,
		statsInPacketRate: &s.InPacketRate, statsOutPacketRate: &s.OutPacketRate,
		statsInByteRate: &s.InByteRate, statsOutByteRate: &s.OutByteRate,
	}
	for ad.Next() {
		t := int(ad.Type())
		if t >= len(fields) || fields[t] == nil {
			continue
		}
		ad.Do(func(b []byte) error {
			switch len(b) {
			case 4:
				*fields[t] = uint64(binary.NativeEndian.Uint32(b))
			case 8:
				*fields[t] = binary.NativeEndian.Uint64(b)
			default:
				return fmt.Errorf("counter %d of %d bytes", t, len(b))
			}
			return nil
		})
	}
	return nil
}

func decodeAddress(f Family, b []byte) (netip.Addr, error) {
	switch {
	case f == IPv4 && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b[:4])), nil
	case f == IPv6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b[:16])), nil
	}
	return netip.Addr{}, fmt.Errorf("address of %d bytes in address family %d", len(b), f)
}

func decodeNetmask(f Family, b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("netmask of %d bytes", len(b))
	}
	if f == IPv6 {
		return binary.NativeEndian.Uint32(b), nil
	}
	return binary.BigEndian.Uint32(b), nil
}

func decodePort(p *uint16) func([]byte) error {
	return func(b []byte) error {
		if len(b) != 2 {
			return fmt.Errorf("port of %d bytes", len(b))
		}
		*p = binary.BigEndian.Uint16(b)
		return nil
	}
}

// decodeFlags reads struct ip_vs_flags: the flags and a mask.
func decodeFlags(f *ServiceFlags) func([]byte) error {
	return func(b []byte) error {
		if len(b) != 8 {
			return fmt.Errorf("flags of %d bytes", len(b))
		}
		*f = ServiceFlags(binary.NativeEndian.Uint32(b))
		return nil
	}
}
