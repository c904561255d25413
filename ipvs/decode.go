package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// counters are statistics in the two widths that the kernel sends.
type counters struct {
	narrow, wide Stats
	hasWide      bool
}

func (c *counters) stats() Stats {
	if c.hasWide {
		return c.wide
	}
	return c.narrow
}

func decodeService(b []byte) (ServiceState, error) {
	var s ServiceState
	var address, netmask []byte
	var c counters
	err := eachNested(b, ipvsnl.AttrService, func(typ uint16, value []byte) error {
		switch typ {
		case serviceFamily:
			return readNumber(&s.Family, value)
		case serviceProtocol:
			return readNumber(&s.Protocol, value)
		case serviceAddress:
			address = value
		case servicePort:
			return decodePort(&s.Port, value)
		case serviceMark:
			return readNumber(&s.Mark, value)
		case serviceScheduler:
			s.Scheduler = readString(value)
		case servicePEName:
			s.PersistenceEngine = readString(value)
		case serviceFlags:
			return decodeFlags(&s.Flags, value)
		case serviceTimeout:
			return readNumber(&s.PersistenceTimeout, value)
		case serviceNetmask:
			netmask = value
		case serviceStats:
			return c.narrow.decode(value)
		case serviceStats64:
			c.hasWide = true
			return c.wide.decode(value)
		}
		return nil
	})
	if err == nil {
		s.Stats = c.stats()
		s.Flags &^= FlagHashed
		err = s.decodeKey(address, netmask)
	}
	if err != nil {
		return ServiceState{}, fmt.Errorf("decoding a service: %w", err)
	}
	return s, nil
}

// decodeKey decodes the fields that depend on the family.
func (s *ServiceState) decodeKey(address, netmask []byte) error {
	if s.Family != IPv4 && s.Family != IPv6 {
		return fmt.Errorf("unknown address family %d", uint16(s.Family))
	}
	var err error
	if s.Mark == 0 {
		s.Address, err = decodeAddress(s.Family, address)
	}
	if err == nil {
		s.Netmask, err = decodeNetmask(s.Family, netmask)
	}
	return err
}

// decodeDestination decodes a destination; of is its service's family, which kernels before 3.18 omit.
func decodeDestination(b []byte, of Family) (DestinationState, error) {
	var d DestinationState
	var address []byte
	var c counters
	fam := of
	err := eachNested(b, ipvsnl.AttrDest, func(typ uint16, value []byte) error {
		switch typ {
		case destFamily:
			return readNumber(&fam, value)
		case destAddress:
			address = value
		case destPort:
			return decodePort(&d.Port, value)
		case destForward:
			return readNumber(&d.Forward, value)
		case destWeight:
			return readNumber(&d.Weight, value)
		case destUpperThreshold:
			return readNumber(&d.UpperThreshold, value)
		case destLowerThreshold:
			return readNumber(&d.LowerThreshold, value)
		case destActive:
			return readNumber(&d.Active, value)
		case destInactive:
			return readNumber(&d.Inactive, value)
		case destPersistent:
			return readNumber(&d.Persistent, value)
		case destTunnelType:
			return readNumber(&d.TunnelType, value)
		case destTunnelPort:
			return decodePort(&d.TunnelPort, value)
		case destTunnelFlags:
			return readNumber(&d.TunnelFlags, value)
		case destStats:
			return c.narrow.decode(value)
		case destStats64:
			c.hasWide = true
			return c.wide.decode(value)
		}
		return nil
	})
	if err == nil {
		d.Stats = c.stats()
		d.Address, err = decodeAddress(fam, address)
	}
	if err != nil {
		return DestinationState{}, fmt.Errorf("decoding a destination: %w", err)
	}
	return d, nil
}

// decode decodes statistics of 32 or 64 bits.
func (s *Stats) decode(b []byte) error {
	fields := [...]*uint64{
		statsConnections: &s.Connections, statsInPackets: &s.InPackets, statsOutPackets: &s.OutPackets,
		statsInBytes: &s.InBytes, statsOutBytes: &s.OutBytes, statsConnectionRate: &s.ConnectionRate,
		statsInPacketRate: &s.InPacketRate, statsOutPacketRate: &s.OutPacketRate,
		statsInByteRate: &s.InByteRate, statsOutByteRate: &s.OutByteRate,
	}
	return eachAttribute(b, func(typ uint16, value []byte) error {
		switch {
		case int(typ) >= len(fields) || fields[typ] == nil:
			return nil
		case len(value) == 4:
			*fields[typ] = uint64(binary.NativeEndian.Uint32(value))
		case len(value) == 8:
			*fields[typ] = binary.NativeEndian.Uint64(value)
		default:
			return fmt.Errorf("counter %d of %d bytes", typ, len(value))
		}
		return nil
	})
}

func decodeAddress(f Family, b []byte) (netip.Addr, error) {
	switch {
	case f == IPv4 && len(b) >= 4:
		return netip.AddrFrom4([4]byte(b[:4])), nil
	case f == IPv6 && len(b) >= 16:
		return netip.AddrFrom16([16]byte(b[:16])), nil
	}
	return netip.Addr{}, fmt.Errorf("address of %d bytes in address family %d", len(b), uint16(f))
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

func decodePort(p *uint16, b []byte) error {
	if len(b) != 2 {
		return fmt.Errorf("port of %d bytes", len(b))
	}
	*p = binary.BigEndian.Uint16(b)
	return nil
}

// decodeFlags decodes struct ip_vs_flags: the flags and a mask.
func decodeFlags(f *ServiceFlags, b []byte) error {
	if len(b) != 8 {
		return fmt.Errorf("flags of %d bytes", len(b))
	}
	*f = ServiceFlags(binary.NativeEndian.Uint32(b))
	return nil
}
