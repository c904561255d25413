package realserver

import (
	"cmp"
	"fmt"
)

// loopback is the device of virtual addresses with direct routing, unless another is asked for.
const loopback = "lo"

// dummy is the command that makes a device without ARP.
func dummy(name string) string { return fmt.Sprintf("ip link add %s type dummy", name) }

// device is where the packets to a virtual address come out, and what makes it exist.
type device struct {
	name   string
	module string // empty: always there
	port   uint16 // UDP port of GUE; 0: none
	outer4 bool
	any    bool // ip6tnl0 must take IPv4 as well as IPv6
}

// device is where the address belongs: none with NAT.
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

// device is the kernel's catch-all tunnel device for the encapsulation: it takes packets from any director.
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
