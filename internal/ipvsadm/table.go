package ipvsadm

import (
	"context"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// table is the kernel's table in little memory: the first access to each page is most of the cost of a long listing.
type table struct {
	services []ipvs.ServiceState // without servers
	lists    []serverList        // of the services
	servers  records
}

// serverList is the location of a service's servers.
type serverList struct {
	first place
	count int
}

// readTable reads the servers of services.
func readTable(ctx context.Context, from Table, services []ipvs.ServiceState) (*table, error) {
	t := &table{services: services, lists: make([]serverList, len(services))}
	keys := make([]ipvs.ServiceKey, len(services))
	for i := range services {
		keys[i] = services[i].ServiceKey
	}
	begun := -1
	begin := func(i int) {
		if i == begun {
			t.servers.cut(t.lists[i].first)
		}
		begun, t.lists[i] = i, serverList{first: t.servers.end()}
	}
	var record []byte
	err := from.EachDestination(ctx, keys, begin, func(i int, d *ipvs.DestinationState) {
		record = appendServer(record[:0], d)
		t.servers.add(record)
		t.lists[i].count++
	})
	return t, err
}

// order returns the indexes of the services in ipvsadm's order, or in the kernel's.
func (t *table) order(sorted bool) []uint32 {
	order := make([]uint32, len(t.services))
	for i := range order {
		order[i] = uint32(i)
	}
	if sorted {
		sortLikeC(order, func(i, j uint32) int { return compareServices(&t.services[i], &t.services[j]) })
	}
	return order
}

// serverOrder returns the places of a service's servers in ipvsadm's order, or in the kernel's.
func (t *table) serverOrder(service uint32, sorted bool) []place {
	order := make([]place, 0, t.lists[service].count)
	for at := t.lists[service].first; len(order) < cap(order); {
		at = t.servers.settle(at)
		order = append(order, at)
		at = t.servers.after(at)
	}
	if sorted {
		sortLikeC(order, func(i, j place) int { return compareServers(t.servers.at(i), t.servers.at(j)) })
	}
	return order
}
