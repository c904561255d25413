package ipvsadm

import (
	"encoding/binary"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// sortLikeC sorts a list into the same order as the C library's qsort. The sequence of comparisons matters, since ipvsadm's
// comparisons are not transitive: they interpret a difference of unsigned numbers as signed.
func sortLikeC[T any](list []T, compare func(a, b T) int) {
	mergeSort(list, make([]T, len(list)/2), compare)
}

// mergeSort needs room for half of the list.
func mergeSort[T any](list, room []T, compare func(a, b T) int) {
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
			return // the rest is in place
		}
		if len(right) == 0 || compare(left[0], right[0]) <= 0 {
			list[i], left = left[0], left[1:]
		} else {
			list[i], right = right[0], right[1:]
		}
	}
}

// difference is a difference of unsigned numbers in C, interpreted as signed.
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
	if d := compareAddresses(a.Address.AsSlice(), b.Address.AsSlice()); d != 0 {
		return d
	}
	return int(a.Port) - int(b.Port)
}

func compareServers(a, b record) int {
	x, portA := a.key()
	y, portB := b.key()
	if d := compareAddresses(x, y); d != 0 {
		return d
	}
	return int(portA) - int(portB)
}

// compareAddresses compares 32 bits at a time, without regard to the families.
func compareAddresses(a, b []byte) int {
	var x, y [16]byte
	copy(x[:], a)
	copy(y[:], b)
	for i := 0; i < len(x); i += 4 {
		if m, n := binary.BigEndian.Uint32(x[i:]), binary.BigEndian.Uint32(y[i:]); m != n {
			return difference(m, n)
		}
	}
	return 0
}
