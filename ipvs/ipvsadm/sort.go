package ipvsadm

import (
	"encoding/binary"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// sortLikeC sorts a list into the order that the C library's qsort puts it in. The order of the comparisons matters, since
// ipvsadm's comparisons are not transitive: a difference of unsigned numbers that is taken for signed.
func sortLikeC(list []int32, compare func(i, j int32) int) {
	mergeSort(list, make([]int32, len(list)/2), compare)
}

// mergeSort needs room for half of the list.
func mergeSort(list, room []int32, compare func(i, j int32) int) {
	if len(list) < 2 {
		return
	}
	half := len(list) / 2
	left, right := room[:half], list[half:]
	mergeSort(list[:half], room, compare)
	mergeSort(right, room, compare)
	copy(left, list[:half])
	for i := range list {
		if len(left) == 0 {
			return // what is left stands in its place
		}
		if len(right) == 0 || compare(left[0], right[0]) <= 0 {
			list[i], left = left[0], left[1:]
		} else {
			list[i], right = right[0], right[1:]
		}
	}
}

// difference is that of C's unsigned numbers, taken for signed.
func difference(a, b uint32) int { return int(int32(a - b)) }

func compareServices(a, b *ipvs.ServiceState) int {
	if a.Mark != b.Mark {
		return difference(a.Mark, b.Mark)
	}
	if a.Family != b.Family {
		return int(a.Family) - int(b.Family)
	}
	if a.Protocol != b.Protocol {
		return int(a.Protocol) - int(b.Protocol)
	}
	if d := wordsOf(a.Address).compare(wordsOf(b.Address)); d != 0 {
		return d
	}
	return int(a.Port) - int(b.Port)
}

func compareServers(a, b *server) int {
	if d := a.address.compare(b.address); d != 0 {
		return d
	}
	return int(a.port) - int(b.port)
}

// words are an address as ipvsadm compares it: 32 bits at a time, IPv4 as the first of them.
type words [4]uint32

func wordsOf(a netip.Addr) (w words) {
	var b [16]byte
	if a.Is4() {
		four := a.As4()
		copy(b[:], four[:])
	} else if a.IsValid() {
		b = a.As16()
	}
	for i := range w {
		w[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	return w
}

// ip returns the address.
func (w words) ip(v6 bool) netip.Addr {
	var b [16]byte
	for i := range w {
		binary.BigEndian.PutUint32(b[4*i:], w[i])
	}
	if v6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:]))
}

func (w words) compare(v words) int {
	for i := range w {
		if w[i] != v[i] {
			return difference(w[i], v[i])
		}
	}
	return 0
}
