package realserver

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// FromConfig returns the addresses and listeners that a director's configuration requires of the host with these
// addresses. The notes name services that --vip must complete.
func FromConfig(cfg *config.Config, local []netip.Addr) (w Wanted, notes []string, err error) {
	for _, s := range cfg.Services {
		if len(s.Discover) > 0 {
			notes = append(notes, fmt.Sprintf("virtual service %q discovers its real servers: if this host is one of them, name the service's addresses with --vip", s.Name))
		}
		for _, r := range s.RealServers {
			if !slices.Contains(local, r.Address) || r.Forward == ipvs.Local {
				continue
			}
			if !s.Address.IsValid() {
				notes = append(notes, fmt.Sprintf("virtual service %q uses a firewall mark: name its addresses with --vip", s.Name))
				continue
			}
			v, err := vipOf(s, r)
			if err != nil {
				return w, notes, fmt.Errorf("virtual service %q, real server %s: %w", s.Name, r.Address, err)
			}
			if !slices.ContainsFunc(w.VIPs, v.equal) {
				w.VIPs = append(w.VIPs, v)
			}
			if l, ok := listenerOf(s, r); ok && !slices.Contains(w.Listeners, l) {
				w.Listeners = append(w.Listeners, l)
			}
		}
	}
	if len(w.VIPs) == 0 && len(notes) == 0 {
		return w, nil, fmt.Errorf("no real server in the configuration has an address of this host (%s)", joined(local))
	}
	for _, v := range cfg.VRRP {
		for _, a := range v.Addresses {
			if addr := a.Prefix.Addr(); !slices.Contains(w.Directors, addr) {
				w.Directors = append(w.Directors, addr)
			}
		}
	}
	return w, notes, nil
}

func vipOf(s config.VirtualService, r config.RealServer) (VIP, error) {
	v := VIP{Address: s.Address}
	switch r.Forward {
	case ipvs.Masquerade:
		v.Mode = NAT
	case ipvs.DirectRoute:
		v.Mode = DR
	case ipvs.Tunnel:
		v.Mode = TUN
		v.Tunnel = &Tunnel{Outer4: r.Address.Is4()}
		switch r.TunnelType {
		case ipvs.TunnelGUE:
			v.Tunnel.Type, v.Tunnel.Port = GUE, r.TunnelPort
		case ipvs.TunnelGRE:
			v.Tunnel.Type = GRE
			if r.TunnelFlags&ipvs.TunnelChecksum != 0 {
				// ip_tunnel_rcv, net/ipv4/ip_tunnel.c: device and packet must agree on the checksum flag.
				return v, fmt.Errorf("gre0 drops packets with a checksum: turn it off in the configuration, or create a gre device with csum yourself")
			}
		default:
			v.Tunnel.Type = IPIP
		}
	default:
		return v, fmt.Errorf("unknown forwarding method %d", r.Forward)
	}
	return v, nil
}

// listenerOf returns the socket that the real server needs. Port 0 means any port.
func listenerOf(s config.VirtualService, r config.RealServer) (Listener, bool) {
	network, ok := map[ipvs.Protocol]string{ipvs.TCP: "tcp", ipvs.UDP: "udp"}[s.Protocol]
	at := netip.AddrPortFrom(s.Address, s.Port)
	if r.Forward == ipvs.Masquerade {
		at = netip.AddrPortFrom(r.Address, r.Port)
	}
	return Listener{Network: network, Address: at}, ok && at.Port() != 0
}

// LocalAddresses returns the host's own addresses at which a director can reach it.
func (o Observed) LocalAddresses() []netip.Addr {
	var out []netip.Addr
	for _, a := range o.Addresses {
		addr := a.Prefix.Addr()
		if link, _ := o.link(a.Interface); !link.Loopback && !addr.IsLinkLocalUnicast() && !slices.Contains(out, addr) {
			out = append(out, addr)
		}
	}
	return out
}
