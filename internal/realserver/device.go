package realserver

import (
	"cmp"
	"fmt"
)

// loopback is the default device of virtual addresses with direct routing.
const loopback = "lo"

// dummy is the command that makes a device without ARP.
func dummy(name string) string { return fmt.Sprintf("ip link add %s type dummy", name) }

// device receives the packets for a virtual address. The other fields describe how to create it.
type device struct {
	name   string
	module string // empty: always present
	port   uint16 // UDP port of GUE; 0: none
	outer4 bool
	any    bool // ip6tnl0 must accept IPv4 as well as IPv6
}

// device returns the device that the address must be on: the zero device with NAT.
func (v VIP) device() (device, error) {
	switch {
	case v.Mode == NAT:
		return device{}, nil
	case v.Mode == DR:
		return device{name: cmp.Or(v.Interface, loopback)}, nil
	case v.Mode != TUN:
		return device{}, fmt.Errorf("mode %q: want dr, tun or nat", v.Mode)
	case v.Tunnel == nil:
		return device{}, fmt.Errorf("mode tun without a tunnel")
	}
	return v.Tunnel.device(v.Address.Is4())
}

// device returns the kernel's catch-all tunnel device for the encapsulation: it accepts packets from any director.
func (t Tunnel) device(inner4 bool) (device, error) {
	d := device{outer4: t.Outer4}
	switch t.Type {
	case GRE:
		if t.Outer4 {
			d.name, d.module = "gre0", "ip_gre"
		} else {
			d.name, d.module = "ip6gre0", "ip6_gre"
		}
		return d, nil
	case GUE:
		d.port = t.Port
		if d.port == 0 {
			d.port = DefaultGUEPort
		}
	case IPIP:
	default:
		return d, fmt.Errorf("tunnel type %q: want ipip, gre or gue", t.Type)
	}
	switch {
	case t.Outer4 && inner4:
		d.name, d.module = "tunl0", "ipip"
	case t.Outer4:
		d.name, d.module = "sit0", "sit"
	default:
		d.name, d.module, d.any = "ip6tnl0", "ip6_tunnel", inner4
	}
	return d, nil
}
