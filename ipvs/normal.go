package ipvs

// The netmasks of persistence by client.
const (
	hostMask   uint32 = 0xffffffff
	hostPrefix uint32 = 128
)

// normal returns the key as the kernel reports it. An IPv4-mapped address is IPv4, unless the family is IPv6.
func (k ServiceKey) normal() ServiceKey {
	if k.Mark != 0 {
		if k.Family == 0 {
			k.Family = IPv4
		}
		return ServiceKey{Mark: k.Mark, Family: k.Family}
	}
	k.Address = k.Address.WithZone("")
	if k.Family != IPv6 {
		k.Address = k.Address.Unmap()
	}
	k.Family = family(k.Address)
	return k
}

// normal returns the service without settings that have no effect.
func (s Service) normal() Service {
	s.ServiceKey = s.ServiceKey.normal()
	s.Flags &^= FlagHashed
	if s.Flags&FlagPersistent == 0 {
		s.PersistenceTimeout = 0
	}
	return s
}

// withDefaults returns a wanted service as the kernel would report it.
func (s Service) withDefaults() Service {
	s = s.normal()
	if s.Netmask == 0 {
		s.Netmask = hostMask
		if s.Family == IPv6 {
			s.Netmask = hostPrefix
		}
	}
	return s
}

// normal returns the key as the kernel reports it: an IPv4-mapped address is IPv4.
func (k DestinationKey) normal() DestinationKey {
	k.Address = k.Address.Unmap().WithZone("")
	return k
}

// normal returns the destination without settings that have no effect.
func (d Destination) normal() Destination {
	d.DestinationKey = d.DestinationKey.normal()
	if d.Forward != Tunnel {
		d.TunnelType = TunnelIPIP
	}
	if d.TunnelType != TunnelGUE {
		d.TunnelPort = 0
	}
	if d.TunnelType == TunnelIPIP {
		d.TunnelFlags = TunnelNoChecksum
	}
	return d
}
