package ipvsadm

import (
	"context"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// table is what the kernel has, in little memory: the first touch of a page is most of what a long listing costs.
type table struct {
	services []ipvs.ServiceState // without servers
	first    []int               // the number of each service's first server
	servers  pile[server]        // of all services, one service after the other
	pick     func(*ipvs.Stats) counters
	counters pile[counters] // the servers', if there is a pick
}

// server is an ipvs.DestinationState without counters in a third of its memory.
type server struct {
	address                                                     words
	forward, weight, upper, lower, active, inactive, persistent uint32
	port, tunnelPort, tunnelFlags                               uint16
	tunnelType                                                  uint8
	v6                                                          bool
}

// readTable reads the servers of services, and picks of their counters if there is a pick.
func readTable(ctx context.Context, from Table, services []ipvs.ServiceState, pick func(*ipvs.Stats) counters) (*table, error) {
	t := &table{services: services, first: make([]int, 0, len(services)), pick: pick}
	keys := make([]ipvs.ServiceKey, len(services))
	for i := range services {
		keys[i] = services[i].ServiceKey
	}
	return t, from.EachDestination(ctx, keys, t.begin, func(_ int, d *ipvs.DestinationState) { t.add(d) })
}

// begin begins the list of a service, perhaps once more.
func (t *table) begin(service int) {
	if service == len(t.first) {
		t.first = append(t.first, t.servers.length)
	}
	t.servers.length = t.first[service]
	t.counters.length = t.first[service]
}

func (t *table) add(d *ipvs.DestinationState) {
	t.servers.add(server{
		wordsOf(d.Address), uint32(d.Forward), d.Weight, d.UpperThreshold, d.LowerThreshold, d.Active, d.Inactive, d.Persistent,
		d.Port, d.TunnelPort, uint16(d.TunnelFlags), uint8(d.TunnelType), d.Address.Is6(),
	})
	if t.pick != nil {
		t.counters.add(t.pick(&d.Stats))
	}
}

// get puts a server where it is wanted, by its number, without counters.
func (t *table) get(i int32, d *ipvs.DestinationState) {
	s := t.servers.at(int(i))
	*d = ipvs.DestinationState{
		Destination: ipvs.Destination{
			DestinationKey: ipvs.DestinationKey{Address: s.address.ip(s.v6), Port: s.port},
			Forward:        ipvs.ForwardMethod(s.forward), Weight: s.weight, UpperThreshold: s.upper, LowerThreshold: s.lower,
			TunnelType: ipvs.TunnelType(s.tunnelType), TunnelPort: s.tunnelPort, TunnelFlags: ipvs.TunnelFlags(s.tunnelFlags),
		},
		Active: s.active, Inactive: s.inactive, Persistent: s.persistent,
	}
}

// order returns the numbers of the services in ipvsadm's order, or in the kernel's.
func (t *table) order(sorted bool) []int32 {
	order := count(0, len(t.services))
	if sorted {
		sortLikeC(order, func(i, j int32) int { return compareServices(&t.services[i], &t.services[j]) })
	}
	return order
}

// serverOrder returns the numbers of a service's servers in ipvsadm's order, or in the kernel's.
func (t *table) serverOrder(service int32, sorted bool) []int32 {
	end := t.servers.length
	if int(service)+1 < len(t.first) {
		end = t.first[service+1]
	}
	order := count(t.first[service], end)
	if sorted {
		sortLikeC(order, func(i, j int32) int { return compareServers(t.servers.at(int(i)), t.servers.at(int(j))) })
	}
	return order
}

// count returns the numbers from first to before end.
func count(first, end int) []int32 {
	list := make([]int32, end-first)
	for i := range list {
		list[i] = int32(first + i)
	}
	return list
}

// pile is a list that grows without being copied.
type pile[T any] struct {
	pieces [][]T
	length int
}

const piece = 512

func (p *pile[T]) add(v T) {
	if p.length == len(p.pieces)*piece {
		p.pieces = append(p.pieces, make([]T, piece))
	}
	p.length++
	*p.at(p.length - 1) = v
}

func (p *pile[T]) at(i int) *T { return &p.pieces[i/piece][i%piece] }
