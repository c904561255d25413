package ipvs

import (
	"fmt"
	"net/netip"
)

// ServiceAt returns the key of a service by address.
func ServiceAt(p Protocol, at netip.AddrPort) ServiceKey {
	return ServiceKey{Protocol: p, Address: at.Addr(), Port: at.Port()}.normal()
}

// ServiceByMark returns the key of a service by firewall mark.
func ServiceByMark(f Family, mark uint32) ServiceKey { return ServiceKey{Family: f, Mark: mark} }

// String returns the key, such as "tcp 192.0.2.1:80" or "fwmark 5 ipv6".
func (k ServiceKey) String() string {
	if k.Mark != 0 {
		return fmt.Sprintf("fwmark %d %s", k.Mark, k.Family)
	}
	return fmt.Sprintf("%s %s", k.Protocol, netip.AddrPortFrom(k.Address, k.Port))
}

// String returns the key and the scheduler.
func (s Service) String() string { return fmt.Sprintf("%s %s", s.ServiceKey, s.Scheduler) }

// String returns address and port.
func (k DestinationKey) String() string { return netip.AddrPortFrom(k.Address, k.Port).String() }

// String returns the key, the forwarding method and the weight.
func (d Destination) String() string {
	return fmt.Sprintf("%s %s weight %d", d.DestinationKey, d.Forward, d.Weight)
}

// family returns the address family; an IPv4-mapped address is IPv6.
func family(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}
