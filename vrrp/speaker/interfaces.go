package speaker

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/host"
)

// netInterface is the last known state of a network interface. Values are not modified; a change creates a new one.
type netInterface struct {
	Index     int // 0 if no interface has this name
	Name      string
	Up        bool // set up, and with a carrier
	NoARP     bool // no neighbour discovery on it (NOARP)
	Hardware  net.HardwareAddr
	Below     int         // of a macvlan: index of the interface that it is on
	Addresses []ifAddress // in the kernel's order
}

type ifAddress struct {
	Prefix    netip.Prefix
	Usable    bool // duplicate address detection has completed and not failed
	Duplicate bool // duplicate address detection has failed
}

func (a netInterface) equal(b netInterface) bool {
	return a.Index == b.Index && a.Name == b.Name && a.Up == b.Up && a.NoARP == b.NoARP && a.Below == b.Below &&
		slices.Equal(a.Hardware, b.Hardware) && slices.Equal(a.Addresses, b.Addresses)
}

// growsTo reports whether an interface differs from b only in addresses that b has in addition, or that became usable.
func (a netInterface) growsTo(b netInterface) bool {
	same := b
	same.Addresses = a.Addresses
	// Usually the new ones come last: a comparison of each with each takes long for many.
	appended := len(a.Addresses) <= len(b.Addresses) && slices.Equal(a.Addresses, b.Addresses[:len(a.Addresses)])
	return a.equal(same) &&
		(appended || !slices.ContainsFunc(a.Addresses, func(x ifAddress) bool { return !b.has(x.Prefix) })) &&
		!slices.ContainsFunc(b.Addresses, func(x ifAddress) bool { return x.Duplicate })
}

// has reports whether the prefix is on the interface.
func (a netInterface) has(p netip.Prefix) bool {
	return slices.ContainsFunc(a.Addresses, func(x ifAddress) bool { return x.Prefix == p })
}

// interfaceTable tracks the kernel's interfaces and addresses. Messages may arrive in any order and more than once.
type interfaceTable struct {
	links     map[int]netInterface // by index, without addresses
	addresses map[int][]ifAddress
	shared    map[int]bool // byName has returned the list of addresses, which must not be modified any more
}

func newInterfaceTable() *interfaceTable {
	return &interfaceTable{links: map[int]netInterface{}, addresses: map[int][]ifAddress{}, shared: map[int]bool{}}
}

// empty removes everything. It keeps the memory of lists that byName has not returned.
func (t *interfaceTable) empty() {
	clear(t.links)
	for index, list := range t.addresses {
		if t.shared[index] || len(list) == 0 { // an interface without addresses may be gone
			delete(t.addresses, index)
		} else {
			t.addresses[index] = list[:0]
		}
	}
	clear(t.shared)
}

// next returns an empty table with room for as many addresses.
func (t *interfaceTable) next() *interfaceTable {
	n := newInterfaceTable()
	for index, list := range t.addresses {
		if len(list) > 0 {
			n.addresses[index] = make([]ifAddress, 0, len(list))
		}
	}
	return n
}

// byName returns the complete table.
func (t *interfaceTable) byName() map[string]netInterface {
	out := make(map[string]netInterface, len(t.links))
	for index, l := range t.links {
		l.Addresses = t.addresses[index]
		t.shared[index] = true
		out[l.Name] = l
	}
	return out
}

func (t *interfaceTable) setLink(l netlink.Link) {
	x := host.LinkOf(l)
	below := 0
	if _, ok := l.(*netlink.Macvlan); ok {
		below = l.Attrs().ParentIndex
	}
	t.links[x.Index] = netInterface{
		Below: below,
		Index: x.Index, Name: x.Name, Up: x.Running(), NoARP: !x.Neighbors() || len(x.Hardware) != 6, Hardware: x.Hardware,
	}
}

func (t *interfaceTable) dropLink(index int) {
	delete(t.links, index)
	delete(t.addresses, index)
}

// own returns an interface's addresses in a list that may be modified. It copies the list once after each byName, not for
// each of a thousand changed addresses.
func (t *interfaceTable) own(index int) []ifAddress {
	if t.shared[index] {
		delete(t.shared, index)
		t.addresses[index] = slices.Clone(t.addresses[index])
	}
	return t.addresses[index]
}

// setAddress records a new or changed address.
func (t *interfaceTable) setAddress(index int, p netip.Prefix, flags int) {
	a := ifAddress{Prefix: p, Duplicate: flags&unix.IFA_F_DADFAILED != 0}
	a.Usable = !a.Duplicate && (flags&unix.IFA_F_TENTATIVE == 0 || flags&unix.IFA_F_OPTIMISTIC != 0)
	list := t.own(index)
	if i := slices.IndexFunc(list, func(x ifAddress) bool { return x.Prefix == p }); i >= 0 {
		list[i] = a
	} else {
		list = append(list, a)
	}
	t.addresses[index] = list
}

func (t *interfaceTable) dropAddress(index int, p netip.Prefix) {
	t.addresses[index] = slices.DeleteFunc(t.own(index), func(x ifAddress) bool { return x.Prefix == p })
}
