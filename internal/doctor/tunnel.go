package doctor

import (
	"fmt"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// ethernetMTU is what clients' packets are made for, in bytes, where nothing else is known.
const ethernetMTU = 1500

// tunnels looks at the packets between the director and the real servers that it tunnels to.
func tunnels(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	tunnelled := byAddress(cfg, ipvs.Tunnel)
	for _, s := range tunnelled {
		route, known := o.Routes[s.Address]
		if !known || route.Local {
			continue
		}
		if f, bad := tunnelSource(cfg, s, route); bad {
			out = append(out, f)
		}
		room := route.MTU - overhead(s)
		if wanted := clientMTU(cfg, o, s); route.MTU > 0 && room < wanted {
			out = append(out, Finding{Code: "tunnel-mtu", Severity: Info, Subject: s.Address.String(),
				What: fmt.Sprintf("the tunnel to %s carries packets of %d bytes, clients may send %d", s.Address, room, wanted),
				Why:  "the director answers that a packet is too big (ICMP); where a filter drops that answer, uploads stand still",
				Mend: fmt.Sprintf("ip link set dev %s mtu %d # and on the way to the real server; or on it: ip route change default via GATEWAY advmss %d",
					route.Interface, wanted+overhead(s), room-tcpHeaders(s.service.Address))})
		}
	}
	if len(out) == 0 && len(tunnelled) > 0 {
		out = append(out, ok("tunnel", "tunnels have room for whole packets, and start from the director's own addresses"))
	}
	return out
}

// tunnelSource looks whether outer packets would start from the virtual address that travels in them: the real server
// has that address itself and drops what comes from it.
func tunnelSource(cfg *config.Config, s server, route host.Route) (Finding, bool) {
	if !route.Source.IsValid() || !isVirtual(cfg, route.Source) {
		return Finding{}, false
	}
	return Finding{Code: "tunnel-source", Severity: Error, Subject: s.Address.String(),
		What: fmt.Sprintf("the tunnel to %s starts from the virtual address %s", s.Address, route.Source),
		Why:  "the real server has that address itself, and drops packets from it",
		Mend: fmt.Sprintf("write the virtual address as %s/%d, and give %s an address of its own",
			route.Source, route.Source.BitLen(), route.Interface)}, true
}

// overhead is how many bytes a tunnel adds: the outer IP header, UDP and GUE (RFC draft-ietf-intarea-gue, four bytes),
// GRE with its checksum (RFC 2784).
func overhead(s server) int {
	n := 20
	if s.Address.Is6() {
		n = 40
	}
	switch s.TunnelType {
	case ipvs.TunnelGUE:
		n += 8 + 4
		if s.TunnelFlags&ipvs.TunnelRemoteChecksum != 0 {
			n += 4 + 4 // private flags, and remote checksum offload's field
		}
	case ipvs.TunnelGRE:
		n += 4
		if s.TunnelFlags&ipvs.TunnelChecksum != 0 {
			n += 4
		}
	}
	return n
}

func tcpHeaders(a netip.Addr) int {
	if a.Is6() {
		return 40 + 20
	}
	return 20 + 20
}

// clientMTU is the size of packets that clients may send to a service: that of the device its address is on.
func clientMTU(cfg *config.Config, o *Observed, s server) int {
	for _, v := range virtuals(cfg) {
		if link, exists := o.link(v.iface); exists && v.prefix.Addr() == s.service.Address && link.MTU > 0 {
			return link.MTU
		}
	}
	return ethernetMTU
}
