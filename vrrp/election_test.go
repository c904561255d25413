package vrrp

import (
	"testing"
	"time"
)

const (
	asBackup = "INITIALIZE>BACKUP startup"
	ms100    = 100 * time.Millisecond
)

func TestElection(t *testing.T) {
	nopreempt := func(in *Instance) { in.Preempt = false }
	delay := func(in *Instance) { in.PreemptDelay = time.Second }
	tenfold := func(in *Instance) { in.AdoptFactor = 10 }
	owner := func(in *Instance) { in.Priority = PriorityOwner }
	fast := func(in *Instance) { in.AdvertiseInterval = 10 * time.Millisecond }
	repeat := func(in *Instance) { in.Announce.RepeatAfter, in.Announce.Refresh = 5*time.Second, 7*time.Second }

	runStories(t, []story{
		{"no other router, version 2", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", Timeout{}, "", "3.609375s"},
			{"3.609375s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "4.609375s"},
			{"4.609375s", Timeout{}, "advert 100", "5.609375s"},
		}},
		{"no other router, version 3", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"360.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "460.9375ms"},
		}},
		{"a late timer does not shift those behind it", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"360.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "460.9375ms"},
			{"490.9375ms", Timeout{}, "advert 100", "560.9375ms"},
			{"2s", Timeout{}, "advert 100", "2.1s"},
		}},
		{"a higher master is followed until it is silent", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"50ms", advertFrom(upper, 150, ms100), "master 10.0.0.6 150 100ms", "410.9375ms"},
			{"150ms", advertFrom(upper, 150, ms100), "", "510.9375ms"},
			{"510.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "610.9375ms"},
		}},
		{"an advert counts from its arrival", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"90ms", arrived(advertFrom(upper, 150, ms100), "50ms"), "master 10.0.0.6 150 100ms", "410.9375ms"},
			{"600ms", arrived(advertFrom(upper, 150, ms100), "150ms"), "", "510.9375ms"},
			{"600ms", arrived(advertFrom(upper, 150, ms100), "550ms"), "", "910.9375ms"},
			{"650ms", arrived(advertFrom(upper, 0, ms100), "580ms"), "", "640.9375ms"},
			{"650ms", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER priority-0-received", "750ms"},
			{"800ms", arrived(advertFrom(upper, 150, ms100), "700ms"), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "1.0609375s"},
		}},
		{"an advert never arrived later than it is read", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"90ms", arrived(advertFrom(upper, 150, ms100), "1h"), "master 10.0.0.6 150 100ms", "450.9375ms"},
		}},
		{"an equal master is followed, with any address", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"50ms", advertFrom(lower, 100, ms100), "master 10.0.0.4 100 100ms", "410.9375ms"},
		}},
		{"the master's interval is adopted in version 3", v3(tenfold), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"50ms", advertFrom(upper, 150, time.Second), "master 10.0.0.6 150 1s", "3.659375s"},
			{"1s", advertFrom(upper, 150, 10*time.Millisecond), "master 10.0.0.6 150 10ms", "1.03609375s"},
			{"1.001s", advertFrom(upper, 0, 10*time.Millisecond), "", "1.00709375s"},
			{"1.00709375s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER priority-0-received", "1.10709375s"},
		}},
		{"the master leaves", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", advertFrom(upper, 150, time.Second), "master 10.0.0.6 150 1s", "4.609375s"},
			{"1.5s", advertFrom(upper, 0, time.Second), "", "2.109375s"},
			{"1.7s", advertFrom(upper, 0, time.Second), "", "2.109375s"},
			{"2.109375s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER priority-0-received", "3.109375s"},
		}},
		{"the master leaves and stays", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", advertFrom(upper, 0, time.Second), "", "1.609375s"},
			{"1.5s", advertFrom(upper, 150, time.Second), "master 10.0.0.6 150 1s", "5.109375s"},
			{"5.109375s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "6.109375s"},
		}},
		{"a lower master is preempted", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"90ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			{"190ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			{"290ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			{"360.9375ms", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "460.9375ms"},
		}},
		{"a lower master that dies before it is preempted", v3(tenfold), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"100ms", advertFrom(upper, 200, time.Second), "master 10.0.0.6 200 1s", "3.709375s"},
			{"200ms", advertFrom(lower, 50, ms100), "", "3.709375s"},
			{"3.709375s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "3.809375s"},
		}},
		{"nopreempt", v3(nopreempt), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"90ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "450.9375ms"},
			{"190ms", advertFrom(upper, 50, ms100), "", "550.9375ms"},
			{"550.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "650.9375ms"},
		}},
		{"preempt delay", v3(delay), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"100ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "460.9375ms"},
			{"1.09s", advertFrom(upper, 50, ms100), "", "1.4509375s"},
			{"1.19s", advertFrom(upper, 50, ms100), "", "1.4509375s"},
			{"1.4509375s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "1.5509375s"},
		}},
		{"preempt delay starts again after a higher master", v3(delay), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"100ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "460.9375ms"},
			{"200ms", advertFrom(lower, 200, ms100), "master 10.0.0.4 200 100ms", "560.9375ms"},
			{"500ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "860.9375ms"},
			{"1.49s", advertFrom(upper, 50, ms100), "", "1.8509375s"},
			{"1.59s", advertFrom(upper, 50, ms100), "", "1.8509375s"},
		}},
		{"preempt delay does not apply to a failed master", v3(delay), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"100ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "460.9375ms"},
			{"460.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "560.9375ms"},
		}},
		{"preemption is held and released", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"0s", tracks(learning), "", "360.9375ms"},
			{"100ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "460.9375ms"},
			{"150ms", tracks(), "", "460.9375ms"},
			{"200ms", advertFrom(upper, 50, ms100), "", "460.9375ms"},
			{"460.9375ms", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "560.9375ms"},
		}},
		{"held at the last moment", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"300ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			{"350ms", tracks(learning), "master 10.0.0.6 50 100ms", "660.9375ms"},
			{"660.9375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "760.9375ms"},
		}},
		{"a held backup takes over from a master that leaves", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"0s", tracks(learning), "", "360.9375ms"},
			{"100ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "460.9375ms"},
			{"110ms", advertFrom(upper, 0, ms100), "", "170.9375ms"},
			{"170.9375ms", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER priority-0-received", "270.9375ms"},
		}},
		{"an owner is master at once", v3(owner, nopreempt), []scene{
			{"0s", up, "advert 255, add .100, announce .100, INITIALIZE>MASTER owner", "100ms"},
		}},
		{"an owner waits while it is held, and then preempts", v3(owner, nopreempt), []scene{
			{"0s", tracks(learning), "", "-"},
			{"0s", up, asBackup, "300.390625ms"},
			{"100ms", advertFrom(upper, 50, ms100), "master 10.0.0.6 50 100ms", "400.390625ms"},
			{"110ms", tracks(), "", "400.390625ms"},
			{"200ms", advertFrom(upper, 50, ms100), "", "400.390625ms"},
			{"400.390625ms", Timeout{}, "add .100, announce .100, advert 255, BACKUP>MASTER preempt", "500.390625ms"},
		}},
		{"an owner with a preempt delay waits", v3(owner, delay), []scene{
			{"0s", up, asBackup, "300.390625ms"},
		}},
		{"two owners: the lower address yields", v3(owner), []scene{
			{"0s", up, "advert 255, add .100, announce .100, INITIALIZE>MASTER owner", "100ms"},
			{"50ms", advertFrom(lower, 255, ms100), "advert 255", "150ms"},
			{"80ms", advertFrom(upper, 255, ms100), "advert 255, remove .100, MASTER>BACKUP equal-priority-higher-address", "380.390625ms"},
		}},
		{"a master that dies just after it was yielded to is replaced on time", v3(fast), []scene{
			{"0s", up, asBackup, "36.09375ms"},
			{"36.09375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "46.09375ms"},
			{"40ms", advertFrom(upper, 150, 10*time.Millisecond), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "76.09375ms"},
			{"76.09375ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "86.09375ms"},
		}},
		{"a backup that yields again and again waits longer", v3(fast), []scene{
			{"0s", up, asBackup, "36.09375ms"},
			{"40ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "50ms"},
			{"50ms", advertFrom(upper, 150, 10*time.Millisecond), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "86.09375ms"},
			{"90ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "100ms"},
			{"100ms", advertFrom(upper, 150, 10*time.Millisecond), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "136.09375ms"},
			{"140ms", Timeout{}, "", "180ms"},
			{"160ms", advertFrom(upper, 150, 10*time.Millisecond), "", "196.09375ms"},
			{"200ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "210ms"},
			{"210ms", advertFrom(upper, 150, 10*time.Millisecond), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "246.09375ms"},
			{"250ms", Timeout{}, "", "530ms"},
			{"520ms", advertFrom(upper, 0, 10*time.Millisecond), "", "526.09375ms"}, // a master that leaves is not waited for
			{"527ms", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER priority-0-received", "537ms"},
			{"11s", advertFrom(upper, 150, 10*time.Millisecond), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "11.03609375s"},
			{"11.04s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "11.05s"},
		}},
		{"announcements are repeated and refreshed", v2(repeat), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"4s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "5s"},
			{"5s", Timeout{}, "advert 100", "6s"},
			{"6s", Timeout{}, "advert 100", "7s"},
			{"7s", Timeout{}, "advert 100", "8s"},
			{"8s", Timeout{}, "advert 100", "9s"},
			{"8.999s", Timeout{}, "", "9s"},
			{"9s", Timeout{}, "advert 100, announce .100", "10s"},
			{"10s", Timeout{}, "advert 100", "11s"},
			{"11s", Timeout{}, "advert 100, announce .100", "12s"},
		}},
	})
}

func TestMasterHears(t *testing.T) {
	becomes := []scene{
		{"0s", up, asBackup, "3.609375s"},
		{"4s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "5s"},
	}
	then := func(scenes ...scene) []scene { return append(becomes[:2:2], scenes...) }
	meek := func(in *Instance) { in.Preempt = false }
	runStories(t, []story{
		{"a higher one", v2(), then(
			scene{"4.5s", advertFrom(lower, 101, time.Second), "advert 100, remove .100, MASTER>BACKUP higher-priority-advert", "8.109375s"},
			scene{"5.5s", advertFrom(lower, 101, time.Second), "", "9.109375s"},
		)},
		{"an equal one of a higher address", v2(), then(
			scene{"4.5s", advertFrom(upper, 100, time.Second), "advert 100, remove .100, MASTER>BACKUP equal-priority-higher-address", "8.109375s"},
		)},
		{"an equal one of a lower address", v2(), then(
			scene{"4.5s", advertFrom(lower, 100, time.Second), "advert 100", "5.5s"},
		)},
		{"a lower one after a standstill", v2(), then(
			scene{"7.1s", advertFrom(lower, 99, time.Second), "advert 100, announce .100", "8.1s"},
		)},
		{"a lower one after a standstill, without preemption", v2(meek), then(
			scene{"7.1s", advertFrom(lower, 99, time.Second), "advert 0, remove .100, MASTER>BACKUP lapsed", "10.709375s"},
			scene{"8.1s", advertFrom(lower, 99, time.Second), "", "11.709375s"},
		)},
		{"a lower one before a backup can have taken over, without preemption", v2(meek), then(
			scene{"7s", advertFrom(lower, 99, time.Second), "advert 100, announce .100", "8s"},
		)},
		{"an equal one after a standstill", v2(), then(
			scene{"7.1s", advertFrom(lower, 100, time.Second), "advert 0, remove .100, MASTER>BACKUP lapsed", "10.709375s"},
		)},
		{"a lower one, again and again", v2(), then(
			scene{"4.5s", advertFrom(upper, 99, time.Second), "advert 100", "5.5s"},
			scene{"4.55s", advertFrom(upper, 99, time.Second), "", "5.5s"},
			scene{"5s", advertFrom(upper, 99, time.Second), "advert 100, announce .100", "6s"},
			scene{"6s", Timeout{}, "advert 100", "6.1s"},
			scene{"6.1s", Timeout{}, "announce .100", "7s"},
			scene{"7s", Timeout{}, "advert 100", "8s"},
		)},
		{"one that leaves", v2(), then(
			scene{"4.01s", advertFrom(upper, 0, time.Second), "advert 100", "5.01s"},
		)},
		{"one that leaves has announced the addresses", v2(), then(
			scene{"4.01s", advertFrom(upper, 0, time.Second), "advert 100", "5.01s"},
			scene{"5.01s", Timeout{}, "advert 100", "5.11s"},
			scene{"5.11s", Timeout{}, "announce .100", "6.01s"},
			scene{"5.5s", advertFrom(upper, 0, time.Second), "advert 100", "6.5s"},
			scene{"6.5s", Timeout{}, "advert 100", "6.6s"},
			scene{"6.6s", Timeout{}, "announce .100", "7.5s"},
		)},
	})
}
