package ipvsadm

import (
	"encoding/binary"
	"net/netip"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// sortedOrder returns the indexes of n entries in the order that the C library's qsort puts them in. The order of the
// comparisons matters, since ipvsadm's comparisons are not transitive: a difference of unsigned numbers that is taken for
// signed.
func sortedOrder(n int, compare func(i, j int) int) []int {
	order := unsortedOrder(n)
	mergeSort(order, make([]int, n/2), compare)
	return order
}

func unsortedOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// mergeSort needs room for half of the list.
func mergeSort(list, room []int, compare func(i, j int) int) {
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
	if d := compareAddresses(a.Address, b.Address); d != 0 {
		return d
	}
	return int(a.Port) - int(b.Port)
}

func compareServers(a, b *ipvs.DestinationState) int {
	if d := compareAddresses(a.Address, b.Address); d != 0 {
		return d
	}
	return int(a.Port) - int(b.Port)
}

// compareAddresses compares 32 bits at a time, whatever the families.
func compareAddresses(a, b netip.Addr) int {
	x, y := words(a), words(b)
	for i := range x {
		if x[i] != y[i] {
			return difference(x[i], y[i])
		}
	}
	return 0
}

func words(a netip.Addr) (w [4]uint32) {
	var b [16]byte
	copy(b[:], a.AsSlice())
	for i := range w {
		w[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	return w
}
