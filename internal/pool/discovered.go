package pool

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Lists are the last good lists of sources, by their keys.
type Lists map[string]List

// List are the servers of a source, sorted by address and port.
type List []Listing

// Listing is a server that a source lists, or did until recently.
type Listing struct {
	config.ListedServer
	Unlisted time.Time `json:"unlisted,omitzero"` // since when it is not listed; zero if it is
}

// Next returns the list after a source has answered. Servers that are no longer listed remain in it.
func (l List) Next(servers []config.ListedServer, now time.Time) List {
	next := make(List, 0, len(servers))
	listed := make(map[netip.AddrPort]bool, len(servers))
	for _, s := range servers {
		at := netip.AddrPortFrom(s.Address, s.Port)
		if !listed[at] {
			listed[at] = true
			next = append(next, Listing{ListedServer: s})
		}
	}
	for _, s := range l {
		if listed[netip.AddrPortFrom(s.Address, s.Port)] {
			continue
		}
		if s.Unlisted.IsZero() {
			s.Unlisted = now
		}
		next = append(next, s)
	}
	slices.SortFunc(next, func(a, b Listing) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port))
	})
	return next
}

// Equal reports whether both lists have the same servers.
func (l List) Equal(other List) bool {
	return slices.EqualFunc(l, other, func(a, b Listing) bool {
		return a.ListedServer == b.ListedServer && a.Unlisted.Equal(b.Unlisted)
	})
}

// Listed returns the number of servers that are listed now.
func (l List) Listed() int {
	n := 0
	for _, s := range l {
		if s.Unlisted.IsZero() {
			n++
		}
	}
	return n
}

// Ignored is a listed server that a service cannot use.
type Ignored struct {
	Server config.ListedServer
	Why    string
}

// Expansion is a virtual service with its discovered real servers, between the configured ones and the sorry servers.
type Expansion struct {
	Service config.VirtualService
	Ignored map[string][]Ignored // by the key of the source
	Changes time.Time            // when the next server that is no longer listed leaves; zero: none
}

// Expand adds the listed servers to a service as it is configured. synchronized says whether connections are synchronized.
func Expand(vs config.VirtualService, lists Lists, synchronized bool, now time.Time) Expansion {
	e := Expansion{Service: vs, Ignored: map[string][]Ignored{}}
	if len(vs.Discover) == 0 {
		return e
	}
	known := map[ipvs.DestinationKey]bool{}
	var servers, sorry []config.RealServer
	for _, rs := range vs.RealServers {
		known[rs.DestinationKey] = true
		if rs.Sorry {
			sorry = append(sorry, rs)
		} else {
			servers = append(servers, rs)
		}
	}
	for _, unlisted := range []bool{false, true} { // of two equal ones, that which is listed
		for _, d := range vs.Discover {
			for _, s := range lists[d.Key()] {
				if s.Unlisted.IsZero() == unlisted {
					continue
				}
				if unlisted {
					leaves := s.Unlisted.Add(d.Drain)
					if !now.Before(leaves) || !vs.Quiesces() {
						continue
					}
					if e.Changes.IsZero() || leaves.Before(e.Changes) {
						e.Changes = leaves
					}
				}
				rs := realServer(vs, d, s)
				if known[rs.DestinationKey] {
					continue
				}
				if why := unusable(vs, rs, synchronized); why != "" {
					if !unlisted {
						e.Ignored[d.Key()] = append(e.Ignored[d.Key()], Ignored{s.ListedServer, why})
					}
					continue
				}
				known[rs.DestinationKey] = true
				servers = append(servers, rs)
			}
		}
	}
	e.Service.RealServers = append(servers, sorry...)
	return e
}

func realServer(vs config.VirtualService, d config.Discover, s Listing) config.RealServer {
	rs := d.Server
	rs.DestinationKey = ipvs.DestinationKey{Address: s.Address, Port: cmp.Or(s.Port, d.Port, vs.Port)}
	if s.Weighted {
		rs.Weight = s.Weight
	}
	rs.Source, rs.Unlisted = d.Source.String(), s.Unlisted
	return rs
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// unusable returns why the kernel rejects a real server of the service (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_new_dest and
// ip_vs_genl_set_cmd), or would never reach it; empty if neither.
func unusable(vs config.VirtualService, rs config.RealServer, synchronized bool) string {
	a := rs.Address
	mixed := a.Is6() != (vs.Family == ipvs.IPv6)
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a == broadcast, a.Zone() != "", a.Is4In6():
		return "not a host address"
	case a.Is6() && a.IsLinkLocalUnicast():
		return "a link-local address"
	case a == vs.Address:
		return "the address of the service itself"
	case mixed && rs.Forward != ipvs.Tunnel:
		return "of another address family than the service; that requires forwarding = \"tun\""
	case mixed && synchronized:
		return "of another address family than the service; connection_sync does not allow that"
	case vs.Mark == 0 && rs.Forward != ipvs.Masquerade && rs.Port != vs.Port:
		return "its port is not that of the service; that requires forwarding = \"nat\""
	case vs.Mark == 0 && rs.Forward == ipvs.Masquerade && rs.Port == 0 && vs.Port != 0:
		return "it has no port"
	}
	return ""
}

// Found returns lists for the sources that have none, with the servers of the table that the configuration does not have: a service that
// is converted to discovery, or a director that has lost its state, keeps its servers until the sources answer.
func Found(services []config.VirtualService, lists Lists, table []ipvs.ServiceState) Lists {
	found := Lists{}
	states := make(map[ipvs.ServiceKey]ipvs.ServiceState, len(table))
	for _, s := range table {
		states[s.ServiceKey] = s
	}
	for _, vs := range services {
		configured := map[ipvs.DestinationKey]bool{}
		for _, rs := range vs.RealServers {
			configured[rs.DestinationKey] = true
		}
		for _, d := range vs.Discover {
			if _, known := lists[d.Key()]; known {
				continue
			}
			var servers []config.ListedServer
			for _, s := range found[d.Key()] {
				servers = append(servers, s.ListedServer)
			}
			for _, dest := range states[vs.ServiceKey].Destinations {
				if configured[dest.DestinationKey] {
					continue
				}
				configured[dest.DestinationKey] = true // and not of the service's next source
				s := config.ListedServer{Address: dest.Address, Port: dest.Port}
				if s.Port == cmp.Or(d.Port, vs.Port) {
					s.Port = 0
				}
				servers = append(servers, s)
			}
			if len(servers) > 0 {
				found[d.Key()] = List(nil).Next(servers, time.Time{})
			}
		}
	}
	return found
}

// ExpandAll expands all services of a configuration. It returns the expansions in their order, and the same configuration if none of
// them has a source.
func ExpandAll(cfg *config.Config, lists Lists, now time.Time) (*config.Config, []Expansion) {
	discovers := slices.ContainsFunc(cfg.Services, func(vs config.VirtualService) bool { return len(vs.Discover) > 0 })
	if !discovers {
		return cfg, nil
	}
	synchronized := slices.ContainsFunc(cfg.VRRP, func(v config.VRRP) bool { return v.ConnectionSync != nil })
	expanded := *cfg
	expanded.Services = slices.Clone(cfg.Services)
	expansions := make([]Expansion, 0, len(cfg.Services))
	for i, vs := range cfg.Services {
		e := Expand(vs, lists, synchronized, now)
		expanded.Services[i] = e.Service
		expansions = append(expansions, e)
	}
	return &expanded, expansions
}
