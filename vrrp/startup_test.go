package vrrp

import (
	"testing"
	"time"
)

func TestStartupDelay(t *testing.T) {
	delay := func(d time.Duration) func(*Instance) { return func(in *Instance) { in.StartupDelay = d } }
	owner := func(in *Instance) { in.Priority = PriorityOwner }
	down := Down{ReasonInterfaceDown}
	const takesOver = "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer"
	runStories(t, []story{
		{"no adverts", v3(delay(time.Second)), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"400ms", Timeout{}, "", "1s"},
			{"1s", Timeout{}, takesOver, "1.1s"},
		}},
		{"it counts from the first time that the interface is usable", v3(delay(time.Second)), []scene{
			{"0s", down, "INITIALIZE>INITIALIZE interface-down", "-"},
			{"800ms", up, asBackup, "1.1609375s"},
			{"1.1609375s", Timeout{}, "", "1.8s"},
			{"1.8s", Timeout{}, takesOver, "1.9s"},
			{"3s", down, "remove .100, MASTER>INITIALIZE interface-down", "-"},
			{"4s", up, asBackup, "4.3609375s"},
			{"4.3609375s", Timeout{}, takesOver, "4.4609375s"},
		}},
		{"a lesser master lives", v3(delay(time.Second)), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"300ms", advertFrom(lower, 50, ms100), "", "360.9375ms"},
			{"360.9375ms", Timeout{}, "", "1s"},
			{"900ms", advertFrom(lower, 50, ms100), "", "1s"},
			{"1s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "1.1s"},
		}},
		{"the master leaves", v3(delay(time.Second)), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"300ms", advertFrom(upper, 0, ms100), "", "360.9375ms"},
			{"360.9375ms", Timeout{}, "", "1s"},
			{"1s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER priority-0-received", "1.1s"},
		}},
		{"an owner waits too", v3(owner, delay(time.Second)), []scene{
			{"0s", up, "INITIALIZE>BACKUP startup", "300.390625ms"},
			{"300.390625ms", Timeout{}, "", "1s"},
			{"1s", Timeout{}, "advert 255, add .100, announce .100, BACKUP>MASTER master-down-timer", "1.1s"},
		}},
		{"a master whose speaker was killed goes on", v3(delay(time.Second)), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true, Adopt: true}, "advert 100, add .100, announce .100, INITIALIZE>MASTER adopted", "100ms"},
		}},
		{"a reload ends it", v3(delay(time.Hour)), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"400ms", Timeout{}, "", "1h0m0s"},
			{"1s", Configure{v3()}, "", "1.3609375s"},
			{"1.3609375s", Timeout{}, takesOver, "1.4609375s"},
		}},
	})
}
