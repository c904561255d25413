package vrrp

import (
	"testing"
	"time"
)

// mastery makes a version 2 router with priority 100 master at 4 s.
var mastery = []scene{
	{"0s", up, asBackup, "3.609375s"},
	{"4s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "5s"},
}

func asMaster(scenes ...scene) []scene { return append(mastery[:2:2], scenes...) }

func TestLeaving(t *testing.T) {
	stop := Resign{ReasonResignStop}
	runStories(t, []story{
		{"a stop, and a successor", v2(), asMaster(
			scene{"4.5s", stop, "advert 0, MASTER>LEAVING resign-stop", "4.51s"},
			scene{"4.51s", Timeout{}, "advert 0", "5.59609375s"},
			scene{"4.7s", advertFrom(lower, 0, time.Second), "", "5.59609375s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>INITIALIZE resign-stop", "-"},
			scene{"6s", advertFrom(lower, 50, time.Second), "", "-"},
		)},
		{"a stop, no other router", v2(), asMaster(
			scene{"4.5s", stop, "advert 0, MASTER>LEAVING resign-stop", "4.51s"},
			scene{"5.59609375s", Timeout{}, "advert 0, remove .100, LEAVING>INITIALIZE resign-stop", "-"},
		)},
		{"a stop at short intervals is as short", v3(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true, Adopt: true}, "advert 100, add .100, announce .100, INITIALIZE>MASTER adopted", "100ms"},
			{"50ms", stop, "advert 0, MASTER>LEAVING resign-stop", "60ms"},
			{"70ms", Timeout{}, "advert 0", "249.609375ms"},
			{"249.609375ms", Timeout{}, "remove .100, LEAVING>INITIALIZE resign-stop", "-"},
		}},
		{"a stop of a backup", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", stop, "BACKUP>INITIALIZE resign-stop", "-"},
		}},
		{"a stop before the beginning", v2(), []scene{{"1s", stop, "", "-"}}},
		{"the link goes while leaving", v2(), asMaster(
			scene{"4.5s", stop, "advert 0, MASTER>LEAVING resign-stop", "4.51s"},
			scene{"4.6s", Down{Reason: ReasonInterfaceDown}, "remove .100, LEAVING>INITIALIZE interface-down", "-"},
		)},
		{"a failover", v2(), asMaster(
			scene{"4.5s", tracks(failover), "advert 0, MASTER>LEAVING resign-failover", "4.51s"},
			scene{"4.51s", Timeout{}, "advert 0", "5.59609375s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>BACKUP successor-heard", "9.09609375s"},
			scene{"6.1s", advertFrom(lower, 50, time.Second), "", "10.09609375s"},
			scene{"6.2s", tracks(), "", "9.709375s"},
			scene{"7.1s", advertFrom(lower, 50, time.Second), "", "9.709375s"},
			scene{"9.709375s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "10.709375s"},
		)},
		{"a failover, no other router", v2(), asMaster(
			scene{"4.5s", tracks(failover), "advert 0, MASTER>LEAVING resign-failover", "4.51s"},
			scene{"4.51s", Timeout{}, "advert 0", "5.59609375s"},
			scene{"5.59609375s", Timeout{}, "advert 1, add .100, announce .100, LEAVING>MASTER nobody-took-over", "6.59609375s"},
			scene{"6s", tracks(), "advert 100", "7s"},
		)},
		{"a stop during a failover ends in time", v2(), asMaster(
			scene{"4.5s", tracks(failover), "advert 0, MASTER>LEAVING resign-failover", "4.51s"},
			scene{"4.7s", Timeout{}, "advert 0", "5.59609375s"},
			scene{"4.75s", stop, "", "5.59609375s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>INITIALIZE resign-stop", "-"},
		)},
		{"a version 3 stop at long intervals is bounded", v3(func(in *Instance) { in.AdvertiseInterval = 10 * time.Second }), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true, Adopt: true}, "advert 100, add .100, announce .100, INITIALIZE>MASTER adopted", "10s"},
			{"1s", stop, "advert 0, MASTER>LEAVING resign-stop", "1.01s"},
			{"1.01s", Timeout{}, "advert 0", "4s"},
			{"4s", Timeout{}, "remove .100, LEAVING>INITIALIZE resign-stop", "-"},
		}},
		{"no director: another takes over, until it is back", v2(), asMaster(
			scene{"4.5s", tracks(lost), "advert 0, MASTER>LEAVING director-lost", "4.51s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>BACKUP successor-heard", "9.09609375s"},
			scene{"6.1s", advertFrom(lower, 50, time.Second), "", "10.09609375s"},
			scene{"6.2s", tracks(), "", "9.709375s"},
			scene{"7.1s", advertFrom(lower, 50, time.Second), "", "9.709375s"},
			scene{"9.709375s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "10.709375s"},
		)},
		{"no director, no other router", v2(), asMaster(
			scene{"4.5s", tracks(lost), "advert 0, MASTER>LEAVING director-lost", "4.51s"},
			scene{"5.59609375s", Timeout{}, "advert 0, advert 1, add .100, announce .100, LEAVING>MASTER nobody-took-over", "6.59609375s"},
			scene{"6.59609375s", Timeout{}, "advert 1", "7.59609375s"},
			scene{"7s", tracks(), "advert 100", "8s"},
		)},
		{"the director is back before anybody takes over", v2(), asMaster(
			scene{"4.5s", tracks(lost), "advert 0, MASTER>LEAVING director-lost", "4.51s"},
			scene{"4.6s", tracks(), "advert 100, add .100, announce .100, LEAVING>MASTER director-back", "5.6s"},
		)},
		{"no director: a backup waits longer", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", tracks(lost), "", "3.99609375s"},
			{"2s", tracks(lost), "", "3.99609375s"},
			{"2s", tracks(), "", "3.609375s"},
		}},
		{"no director during a failover", v2(), asMaster(
			scene{"4.5s", tracks(failover), "advert 0, MASTER>LEAVING resign-failover", "4.51s"},
			scene{"4.6s", tracks(failover, lost), "", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, advert 1, add .100, announce .100, LEAVING>MASTER nobody-took-over", "6.6s"},
		)},
		{"a stop ends the wait for the director", v2(), asMaster(
			scene{"4.5s", tracks(lost), "advert 0, MASTER>LEAVING director-lost", "4.51s"},
			scene{"4.6s", stop, "", "4.51s"},
			scene{"4.7s", tracks(), "", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, remove .100, LEAVING>INITIALIZE resign-stop", "-"},
		)},
		{"some addresses are refused: another takes over, until they are not", v2(), asMaster(
			scene{"4.5s", tracks(degraded), "advert 0, MASTER>LEAVING address-refused", "4.51s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>BACKUP successor-heard", "9.09609375s"},
			scene{"5.2s", tracks(degraded), "", "9.09609375s"},
			scene{"6.1s", advertFrom(lower, 50, time.Second), "", "10.09609375s"},
			scene{"6.2s", tracks(), "", "9.709375s"},
			scene{"7.1s", advertFrom(lower, 50, time.Second), "", "9.709375s"},
			scene{"9.709375s", Timeout{}, "add .100, announce .100, advert 100, BACKUP>MASTER preempt", "10.709375s"},
		)},
		{"some are refused everywhere: the last one that tries serves the others", v2(), asMaster(
			scene{"4.5s", tracks(degraded), "advert 0, MASTER>LEAVING address-refused", "4.51s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>BACKUP successor-heard", "9.09609375s"},
			scene{"5.2s", advertFrom(lower, 0, time.Second), "", "6.19609375s"},
			scene{"6.2s", Timeout{}, "add .100, announce .100, advert 1, BACKUP>MASTER priority-0-received", "7.2s"},
			scene{"6.3s", tracks(degraded), "", "7.2s"},
			scene{"6.4s", advertFrom(lower, 1, time.Second), "advert 1", "7.4s"},
			scene{"7s", tracks(), "advert 100, add .100, announce .100", "7.5s"},
		)},
		{"some are refused, no other router", v2(), asMaster(
			scene{"4.5s", tracks(degraded), "advert 0, MASTER>LEAVING address-refused", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, advert 1, add .100, announce .100, LEAVING>MASTER nobody-took-over", "6.6s"},
			scene{"6s", tracks(degraded, lost), "advert 0, MASTER>LEAVING director-lost", "6.01s"},
			scene{"6.1s", tracks(degraded), "", "6.01s"},
			scene{"6.2s", tracks(), "advert 100, add .100, announce .100, LEAVING>MASTER addresses-back", "7.2s"},
		)},
		{"all are taken again before anybody takes over", v2(), asMaster(
			scene{"4.5s", tracks(degraded), "advert 0, MASTER>LEAVING address-refused", "4.51s"},
			scene{"4.6s", tracks(), "advert 100, add .100, announce .100, LEAVING>MASTER addresses-back", "5.6s"},
		)},
		{"a stop ends the wait for the addresses", v2(), asMaster(
			scene{"4.5s", tracks(degraded), "advert 0, MASTER>LEAVING address-refused", "4.51s"},
			scene{"4.6s", stop, "", "4.51s"},
			scene{"4.7s", tracks(), "", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, remove .100, LEAVING>INITIALIZE resign-stop", "-"},
		)},
		{"all addresses are refused, no other router", v2(), asMaster(
			scene{"4.5s", tracks(refused), "advert 0, MASTER>LEAVING address-refused", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, remove .100, LEAVING>INITIALIZE address-refused", "-"},
		)},
		{"a fault, and a successor", v2(), asMaster(
			scene{"4.5s", tracks(faulted), "advert 0, MASTER>LEAVING track", "4.51s"},
			scene{"5.1s", advertFrom(lower, 50, time.Second), "remove .100, LEAVING>INITIALIZE track", "-"},
			scene{"6s", tracks(), asBackup, "9.609375s"},
		)},
		{"a fault that is over before a successor is heard", v2(), asMaster(
			scene{"4.5s", tracks(faulted), "advert 0, MASTER>LEAVING track", "4.51s"},
			scene{"4.6s", tracks(), "", "4.51s"},
			scene{"5.1s", advertFrom(lower, 150, time.Second), "remove .100, LEAVING>BACKUP successor-heard", "8.709375s"},
		)},
		{"a fault while the director is lost", v2(), asMaster(
			scene{"4.5s", tracks(lost), "advert 0, MASTER>LEAVING director-lost", "4.51s"},
			scene{"4.6s", tracks(lost, faulted), "", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, remove .100, LEAVING>INITIALIZE track", "-"},
		)},
		{"a fault that is over, no other router", v2(), asMaster(
			scene{"4.5s", tracks(faulted), "advert 0, MASTER>LEAVING track", "4.51s"},
			scene{"4.6s", tracks(), "", "4.51s"},
			scene{"5.6s", Timeout{}, "advert 0, advert 100, add .100, announce .100, LEAVING>MASTER nobody-took-over", "6.6s"},
		)},
		{"a fault of a backup", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", tracks(faulted), "BACKUP>INITIALIZE track", "-"},
			{"2s", tracks(refused), "INITIALIZE>INITIALIZE address-refused", "-"},
			{"3s", tracks(degraded), asBackup, "6.99609375s"},
		}},
		{"a fault from the start", v2(), []scene{
			{"0s", tracks(faulted), "", "-"},
			{"1s", up, "INITIALIZE>INITIALIZE track", "-"},
			{"2s", Down{ReasonInterfaceDown}, "INITIALIZE>INITIALIZE interface-down", "-"},
			{"3s", tracks(), "", "-"},
			{"4s", up, asBackup, "7.609375s"},
		}},
		{"a fault, and addresses that a former process has left", v2(), []scene{
			{"0s", tracks(faulted), "", "-"},
			{"1s", Up{Source: ours, HaveAddresses: true, Adopt: true}, "remove .100, INITIALIZE>INITIALIZE track", "-"},
		}},
		{"what was stopped does not start again", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", stop, "BACKUP>INITIALIZE resign-stop", "-"},
			{"2s", tracks(faulted), "", "-"},
			{"3s", tracks(), "", "-"},
		}},
	})
}

func TestLink(t *testing.T) {
	runStories(t, []story{
		{"what it waits for changes", v2(), []scene{
			{"0s", Timeout{}, "", "-"},
			{"1s", Down{Reason: ReasonInterfaceMissing}, "INITIALIZE>INITIALIZE interface-missing", "-"},
			{"1s", Down{Reason: ReasonInterfaceMissing}, "", "-"},
			{"2s", Down{Reason: ReasonNoAddress}, "INITIALIZE>INITIALIZE no-address", "-"},
			{"3s", advertFrom(upper, 1, time.Second), "", "-"},
			{"4s", up, asBackup, "7.609375s"},
		}},
		{"the link of a master goes and comes", v2(), asMaster(
			scene{"4.5s", Down{Reason: ReasonInterfaceDown}, "remove .100, MASTER>INITIALIZE interface-down", "-"},
			scene{"5s", up, asBackup, "8.609375s"},
		)},
		{"the address changes", v2(), asMaster(
			scene{"4.5s", Up{Source: upper}, "", "5s"},
			scene{"4.6s", advertFrom(ours, 100, time.Second), "advert 100", "5.6s"},
		)},
		{"adopted after a crash", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true, Adopt: true}, "advert 100, add .100, announce .100, INITIALIZE>MASTER adopted", "1s"},
		}},
		{"nothing to adopt", v2(), []scene{
			{"0s", Up{Source: ours, Adopt: true}, asBackup, "3.609375s"},
		}},
		{"leftovers go when a master is heard", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"1s", advertFrom(upper, 0, time.Second), "", "1.609375s"},
			{"1.1s", advertFrom(upper, 150, time.Second), "remove .100, master 10.0.0.6 150 1s", "4.709375s"},
			{"2.1s", advertFrom(upper, 150, time.Second), "", "5.709375s"},
		}},
		{"leftovers go when a lower master is heard", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"1.1s", advertFrom(upper, 50, time.Second), "remove .100", "3.609375s"},
		}},
		{"leftovers stay without an advert", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"4s", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "5s"},
		}},
		{"leftovers go when the link goes", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"1s", Down{Reason: ReasonInterfaceDown}, "remove .100, BACKUP>INITIALIZE interface-down", "-"},
		}},
		{"leftovers go at a stop", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"1s", Resign{ReasonResignStop}, "remove .100, BACKUP>INITIALIZE resign-stop", "-"},
		}},
	})
}
