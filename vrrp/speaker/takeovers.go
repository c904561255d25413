package speaker

import (
	"slices"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// takeoverBatch is the maximum number of takeovers whose addresses are added in one system call. The first of them are announced
// only after that call: it takes the kernel some 10 µs for an address.
const takeoverBatch = 32

// carryOutAll carries out tasks. Takeovers in a row share a system call that adds their addresses.
func (k *keeper) carryOutAll(tasks []task) {
	for len(tasks) > 0 {
		n := takeovers(tasks)
		some := slices.DeleteFunc(tasks[:max(n, 1)], func(t task) bool { return !t.claim.take() })
		tasks = tasks[max(n, 1):]
		if n > 0 {
			var list []*heldAddress
			for _, t := range some {
				list = append(list, k.wanted(t, t.actions[0].(vrrp.AddAddresses).Addresses)...)
			}
			k.hold(list)
		}
		for _, t := range some {
			k.carryOut(t, n > 0)
			t.done()
			k.pacer.pause()
		}
	}
}

// takeovers returns the number of leading tasks, at most takeoverBatch, that add addresses, and at most announce them too. A
// macvlan or routes need the order of a single task.
func takeovers(tasks []task) int {
	for i, t := range tasks[:min(len(tasks), takeoverBatch)] {
		if len(t.actions) == 0 || t.holder.vmac != "" || slices.ContainsFunc(tasks[:i], func(other task) bool { return other.holder == t.holder }) {
			return i
		}
		add, adds := t.actions[0].(vrrp.AddAddresses)
		if !adds || !add.Routing.Empty() {
			return i
		}
		for _, a := range t.actions[1:] {
			if _, announces := a.(vrrp.SendAnnouncements); !announces {
				return i
			}
		}
	}
	return min(len(tasks), takeoverBatch)
}
