package vrrp

import (
	"testing"
	"time"
)

// TestPrepare checks that the addresses are added shortly before a takeover from an active master, and removed if it does
// not take place.
func TestPrepare(t *testing.T) {
	const ms100 = 100 * time.Millisecond
	moved := func(in *Instance) { in.Addresses = prefixes("10.0.0.101/24") }
	leaves := []scene{
		{"0s", up, asBackup, "360.9375ms"},
		{"50ms", advertFrom(upper, 150, ms100), "master 10.0.0.6 150 100ms", "410.9375ms"},
		{"100ms", advertFrom(upper, 0, ms100), "", "160.9375ms"},
		{"159.9ms", Prepare{}, "", "160.9375ms"},
		{"159.95ms", Prepare{}, "add .100", "160.9375ms"},
		{"159.96ms", Prepare{}, "", "160.9375ms"},
	}
	preempts := []scene{
		{"0s", up, asBackup, "360.9375ms"},
		{"290ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
		{"360ms", Prepare{}, "add .100", "360.9375ms"},
	}
	with := func(before []scene, after ...scene) []scene {
		return append(before[:len(before):len(before)], after...)
	}
	runStories(t, []story{
		{"the master leaves", v3(), with(leaves,
			scene{"160.9375ms", Timeout{}, "announce .100, advert 100, BACKUP>MASTER priority-0-received", "260.9375ms"})},
		{"the master leaves and stays", v3(), with(leaves,
			scene{"160ms", advertFrom(upper, 150, ms100), "remove .100", "520.9375ms"},
			scene{"520.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "620.9375ms"})},
		{"a lower master is preempted", v3(), with(preempts,
			scene{"360.5ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			scene{"360.9375ms", Timeout{}, "announce .100, advert 100, BACKUP>MASTER preempt", "460.9375ms"})},
		{"a better master appears", v3(), with(preempts,
			scene{"360.5ms", advertFrom(upper, 150, ms100), "remove .100, master 10.0.0.6 150 100ms", "721.4375ms"})},
		{"preemption is held", v3(), with(preempts,
			scene{"360.5ms", tracks(learning), "master 10.0.0.6 50 100ms, remove .100", "650.9375ms"})},
		{"the priority falls", v3(), with(leaves,
			scene{"160ms", offset(-50), "remove .100", "180.46875ms"})},
		{"other addresses are configured", v3(), with(leaves,
			scene{"160ms", Configure{v3(moved)}, "remove .100", "160.9375ms"},
			scene{"160.9375ms", Timeout{}, "add .101, announce .101, advert 100, BACKUP>MASTER priority-0-received", "260.9375ms"})},
		{"the interface fails", v3(), with(leaves,
			scene{"160ms", Down{ReasonInterfaceDown}, "remove .100, BACKUP>INITIALIZE interface-down", "-"})},
		{"the router stops", v3(), with(leaves,
			scene{"160ms", Resign{ReasonResignStop}, "remove .100, BACKUP>INITIALIZE resign-stop", "-"})},
		{"the master is silent", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"50ms", advertFrom(upper, 150, ms100), "master 10.0.0.6 150 100ms", "410.9375ms"},
			{"409.9ms", Prepare{}, "", "410.9375ms"},
			{"410ms", Prepare{}, "add .100", "410.9375ms"},
			{"410.9375ms", Timeout{}, "advert 100, announce .100, BACKUP>MASTER master-down-timer", "510.9375ms"},
		}},
	})
}
