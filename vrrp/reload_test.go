package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestPriority(t *testing.T) {
	owner := func(in *Instance) { in.Priority = PriorityOwner }
	runStories(t, []story{
		{"a backup's running timer is shifted", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", offset(-50), "", "3.8046875s"},
			{"2s", offset(50), "", "3.4140625s"},
			{"3s", offset(0), "", "3.609375s"},
		}},
		{"and so is the wait after priority 0", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", advertFrom(upper, 0, time.Second), "", "1.609375s"},
			{"1.1s", offset(-50), "", "1.8046875s"},
		}},
		{"it stays within 1 and 254", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", offset(-253), "", "3.99609375s"},
			{"2s", offset(253), "", "3.0078125s"},
		}},
		{"an owner's does not change", v3(owner), []scene{
			{"0s", up, "advert 255, add .100, announce .100, INITIALIZE>MASTER owner", "100ms"},
			{"10ms", offset(-100), "", "100ms"},
			{"100ms", Timeout{}, "advert 255", "200ms"},
		}},
		{"a lowered master goes on until a higher one is heard", v2(), asMaster(
			scene{"4.5s", offset(-60), "", "5s"},
			scene{"5s", Timeout{}, "advert 40", "6s"},
			scene{"5.5s", advertFrom(lower, 41, time.Second), "advert 40, remove .100, MASTER>BACKUP higher-priority-advert", "9.34375s"},
		)},
		{"a raised master says so at once", v2(), asMaster(
			scene{"4.5s", offset(60), "advert 160", "5.5s"},
		)},
		{"a lowered backup follows the master it was about to preempt", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"100ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			{"110ms", offset(-60), "master 10.0.0.6 50 100ms", "484.375ms"},
		}},
		{"a raised backup preempts", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"100ms", advertFrom(upper, 150, ms100), "master 10.0.0.6 150 100ms", "460.9375ms"},
			{"110ms", offset(60), "", "437.5ms"},
			{"200ms", advertFrom(upper, 150, ms100), "", "437.5ms"},
			{"437.5ms", Timeout{}, "add .100, announce .100, advert 160, BACKUP>MASTER preempt", "537.5ms"},
		}},
		{"before the beginning", v2(), []scene{
			{"0s", offset(-50), "", "-"},
			{"0s", up, asBackup, "3.8046875s"},
		}},
	})
}

func TestReloadRouting(t *testing.T) {
	route := func(destination string, mtu uint32) Route {
		return Route{Destination: netip.MustParsePrefix(destination), Interface: "eth0", MTU: mtu}
	}
	in := v2()
	in.Routing = Routing{Routes: []Route{route("10.1.0.0/16", 0), route("10.2.0.0/16", 0), route("fd00::/64", 0)}, Rules: []Rule{{Family: IPv4, Priority: 1, Table: 5}}}
	m := NewMachine(in)
	now := time.Unix(0, 0)
	m.Step(up, now)
	changed := func(what string, in Instance, removed, added string) {
		t.Helper()
		var gotRemoved, gotAdded string
		for _, a := range m.Step(Configure{Instance: in}, now) {
			switch a := a.(type) {
			case AddAddresses:
				gotAdded += fmt.Sprint(a.Addresses, a.Routing)
			case RemoveAddresses:
				gotRemoved += fmt.Sprint(a.Addresses, a.Routing)
			case SendAdvert, SendAnnouncements:
				t.Errorf("%s: %T", what, a)
			}
		}
		if gotRemoved != removed || gotAdded != added {
			t.Errorf("%s: removed %s, added %s; want %s, %s", what, gotRemoved, gotAdded, removed, added)
		}
	}
	changed("as backup", in, "", "")
	deadline, _ := m.Deadline()
	now = deadline
	m.Step(Timeout{}, now)
	if m.State() != Master {
		t.Fatal(m.State())
	}
	changed("nothing", in, "", "")
	in.Routing = Routing{Routes: []Route{route("10.1.0.0/16", 0), route("10.2.0.0/16", 1400), route("10.3.0.0/16", 0)}}
	changed("routes", in, "[] {[fd00::/64] [1: from all lookup 5]}", "[] {[10.2.0.0/16 10.3.0.0/16] []}")
	in.Routing = Routing{}
	changed("none", in, "[] {[10.1.0.0/16 10.2.0.0/16 10.3.0.0/16] []}", "")
}

func TestReload(t *testing.T) {
	addresses := func(s ...string) func(*Instance) {
		return func(in *Instance) { in.Addresses = prefixes(s...) }
	}
	priority := func(p uint8) func(*Instance) { return func(in *Instance) { in.Priority = p } }
	interval := func(d time.Duration) func(*Instance) { return func(in *Instance) { in.AdvertiseInterval = d } }
	label := func(in *Instance) { in.Addresses[0].Label = "eth0:vip" }
	exclude := func(in *Instance) { in.Addresses[0].Excluded = true }
	refresh := func(in *Instance) { in.Announce.Refresh = 2 * time.Second }
	repeat := func(in *Instance) { in.Announce.RepeatAfter = 500 * time.Millisecond }
	nopreempt := func(in *Instance) { in.Preempt = false }
	runStories(t, []story{
		{"nothing changed", v2(), asMaster(
			scene{"4.5s", Configure{v2()}, "", "5s"},
		)},
		{"a master's priority", v2(), asMaster(
			scene{"4.5s", Configure{v2(priority(150))}, "advert 150", "5.5s"},
			scene{"4.6s", Configure{v2(priority(50))}, "", "5.5s"},
			scene{"5.5s", Timeout{}, "advert 50", "6.5s"},
		)},
		{"a backup's priority", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", Configure{v2(priority(200))}, "", "3.21875s"},
		}},
		{"a master's interval", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"400ms", Timeout{}, "advert 100, add .100, announce .100, BACKUP>MASTER master-down-timer", "500ms"},
			{"450ms", Configure{v3(interval(time.Second))}, "advert 100", "1.45s"},
			{"460ms", Configure{v3(interval(10 * time.Millisecond))}, "advert 100", "470ms"},
		}},
		{"a version 3 backup goes on with its master's interval", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"50ms", advertFrom(upper, 150, ms100), "master 10.0.0.6 150 100ms", "410.9375ms"},
			{"60ms", Configure{v3(interval(time.Second))}, "", "410.9375ms"},
		}},
		{"a backup's interval: it waits all of the new one", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"3s", Configure{v2(interval(2 * time.Second))}, "", "9.609375s"},
			{"4s", Configure{v2(interval(time.Second))}, "", "7.609375s"},
		}},
		{"a master's addresses", v2(addresses("10.0.0.100/24", "10.0.0.101/24")), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"4s", Timeout{}, "advert 100, add .100 .101, announce .100 .101, BACKUP>MASTER master-down-timer", "5s"},
			{"4.5s", Configure{v2(repeat, addresses("10.0.0.101/24", "10.0.0.102/24"))}, "add .102, advert 100, announce .102, remove .100", "5s"},
			{"5s", Timeout{}, "announce .101 .102", "5.5s"},
			{"5.1s", Configure{v2(addresses("10.0.0.102/24", "10.0.0.101/24"))}, "", "5.5s"},
			{"5.2s", Configure{v2(addresses("10.0.0.102/24"))}, "advert 100, remove .101", "6.2s"},
		}},
		{"another prefix length or label: out and in again", v2(), asMaster(
			scene{"4.5s", Configure{v2(addresses("10.0.0.100/32"))}, "remove .100, add .100, advert 100, announce .100", "5.5s"},
			scene{"4.6s", Configure{v2(addresses("10.0.0.100/32"), label)}, "remove .100, add .100, advert 100, announce .100", "5.6s"},
		)},
		{"an address is excluded: the others learn it, and it stays", v2(addresses("10.0.0.100/24", "10.0.0.101/24")), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"4s", Timeout{}, "advert 100, add .100 .101, announce .100 .101, BACKUP>MASTER master-down-timer", "5s"},
			{"4.5s", Configure{v2(addresses("10.0.0.100/24", "10.0.0.101/24"), exclude)}, "advert 100", "5.5s"},
			{"4.6s", Configure{v2(addresses("10.0.0.100/24", "10.0.0.101/24"))}, "advert 100", "5.6s"},
		}},
		{"a backup's addresses", v2(), []scene{
			{"0s", up, asBackup, "3.609375s"},
			{"1s", Configure{v2(addresses("10.0.0.101/24"))}, "", "3.609375s"},
			{"4s", Timeout{}, "advert 100, add .101, announce .101, BACKUP>MASTER master-down-timer", "5s"},
		}},
		{"leftovers that are no longer wanted", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"1s", Configure{v2(addresses("10.0.0.101/24"))}, "remove .100", "3.609375s"},
			{"1s", advertFrom(upper, 200, time.Second), "remove .101, master 10.0.0.6 200 1s", "4.609375s"},
		}},
		{"while leaving", v2(), asMaster(
			scene{"4.5s", tracks(failover), "advert 0, MASTER>LEAVING resign-failover", "4.51s"},
			scene{"4.55s", Configure{v2(addresses("10.0.0.101/24"))}, "remove .100", "4.51s"},
			scene{"4.6s", advertFrom(upper, 50, time.Second), "remove .101, LEAVING>BACKUP successor-heard", "8.59609375s"},
		)},
		{"another prefix length while leaving: it still serves", v2(), asMaster(
			scene{"4.5s", tracks(failover), "advert 0, MASTER>LEAVING resign-failover", "4.51s"},
			scene{"4.55s", Configure{v2(addresses("10.0.0.100/32", "10.0.0.101/24"))}, "remove .100, add .100", "4.51s"},
			scene{"4.6s", advertFrom(upper, 50, time.Second), "remove .100 .101, LEAVING>BACKUP successor-heard", "8.59609375s"},
		)},
		{"another prefix length of leftovers", v2(), []scene{
			{"0s", Up{Source: ours, HaveAddresses: true}, asBackup, "3.609375s"},
			{"1s", Configure{v2(addresses("10.0.0.100/32"))}, "remove .100, add .100", "3.609375s"},
		}},
		{"nopreempt at the last moment", v3(), []scene{
			{"0s", up, asBackup, "360.9375ms"},
			{"300ms", advertFrom(upper, 50, ms100), "", "360.9375ms"},
			{"350ms", Configure{v3(nopreempt)}, "master 10.0.0.6 50 100ms", "660.9375ms"},
		}},
		{"a refresh is begun", v2(), asMaster(
			scene{"4.5s", Configure{v2(refresh)}, "", "5s"},
			scene{"5s", Timeout{}, "advert 100", "6s"},
			scene{"6s", Timeout{}, "advert 100", "6.5s"},
			scene{"6.5s", Timeout{}, "announce .100", "7s"},
			scene{"6.6s", Configure{v2(refresh)}, "", "7s"},
			scene{"7s", Timeout{}, "advert 100", "8s"},
			scene{"8s", Timeout{}, "advert 100", "8.5s"},
			scene{"8.5s", Timeout{}, "announce .100", "9s"},
		)},
		{"before the beginning", v2(), []scene{
			{"0s", Configure{v2(priority(200))}, "", "-"},
			{"0s", up, asBackup, "3.21875s"},
		}},
	})
}
