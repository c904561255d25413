package ipvs_test

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvstest"
)

// drawTable draws services and servers from few keys, so that two tables overlap.
func drawTable(t *rapid.T, label string) []ipvs.Entry {
	keys := rapid.SliceOfDistinct(rapid.SampledFrom([]ipvs.ServiceKey{
		web, dns, mark, ipvs.ServiceByMark(ipvs.IPv6, 5), at(ipvs.SCTP, "192.0.2.1:80"),
	}), func(k ipvs.ServiceKey) ipvs.ServiceKey { return k }).Draw(t, label)
	var table []ipvs.Entry
	for _, key := range keys {
		s := service(key, rapid.SampledFrom(ipvs.Schedulers()).Draw(t, "scheduler"))
		if rapid.Bool().Draw(t, "persistent") {
			s.Flags |= ipvs.FlagPersistent
			s.PersistenceTimeout = rapid.Uint32Range(1, 3).Draw(t, "timeout")
			s.Netmask = rapid.Uint32Range(1, 128).Draw(t, "netmask")
		}
		if rapid.Bool().Draw(t, "flag") {
			s.Flags |= ipvs.FlagSched2
		}
		table = append(table, ipvs.Entry{Service: s, Destinations: drawServers(t, key.Family)})
	}
	return table
}

func drawServers(t *rapid.T, f ipvs.Family) []ipvs.Destination {
	var list []ipvs.Destination
	for _, n := range rapid.SliceOfNDistinct(rapid.ByteRange(1, 5), 0, 5, rapid.ID).Draw(t, "servers") {
		d := ipvs.Destination{Weight: rapid.Uint32Range(0, 3).Draw(t, "weight"), UpperThreshold: rapid.Uint32Range(0, 1).Draw(t, "upper")}
		d.Address, d.Port = netip.AddrFrom4([4]byte{10, 0, 0, n}), 80
		if f == ipvs.IPv6 {
			d.Address = netip.AddrFrom16([16]byte{0: 0xfd, 15: n})
		}
		d.Forward = rapid.SampledFrom([]ipvs.ForwardMethod{ipvs.Masquerade, ipvs.Tunnel, ipvs.DirectRoute}).Draw(t, "forward")
		if d.Forward == ipvs.Tunnel && rapid.Bool().Draw(t, "gue") {
			d.TunnelType, d.TunnelPort = ipvs.TunnelGUE, rapid.Uint16Range(1, 2).Draw(t, "tunnel port")
		}
		list = append(list, d)
	}
	return list
}

func TestApplyReachesWantedTable(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		wanted, actual := drawTable(rt, "wanted"), drawTable(rt, "actual")
		mine := rapid.SliceOfDistinct(rapid.SampledFrom([]ipvs.ServiceKey{web, dns, mark}), func(k ipvs.ServiceKey) ipvs.ServiceKey { return k }).Draw(rt, "mine")
		owned := func(k ipvs.ServiceKey) bool { return slices.Contains(mine, k) }
		named := func(k ipvs.ServiceKey) bool {
			return slices.ContainsFunc(wanted, func(e ipvs.Entry) bool { return e.ServiceKey == k })
		}
		var want []ipvs.Entry
		var foreign []ipvs.ServiceKey
		want = append(want, wanted...)
		for _, e := range actual {
			if !named(e.ServiceKey) && !owned(e.ServiceKey) {
				want = append(want, e)
				foreign = append(foreign, e.ServiceKey)
			}
		}

		kernel := ipvstest.New(states(actual)...)
		kernel.After = func(s ipvs.Step, table []ipvs.ServiceState) {
			if slices.Contains(foreign, s.Service.ServiceKey) {
				rt.Errorf("%s touches a foreign service", s)
			}
			checkCommonServersStay(rt, wanted, actual, table)
		}
		plan := ipvs.Diff(wanted, states(actual), owned)
		if err := ipvs.Apply(t.Context(), kernel, plan); err != nil {
			rt.Fatal(err)
		}
		got, _ := kernel.Table(t.Context())
		if diff := gocmp.Diff(sorted(want), entries(got), values); diff != "" {
			rt.Errorf("after\n%s\n%s", plan, diff)
		}
		if diff := gocmp.Diff(foreign, plan.Foreign, values); diff != "" {
			rt.Errorf("foreign services: %s", diff)
		}
		if again := ipvs.Diff(wanted, got, owned); !again.Empty() {
			rt.Errorf("there is still something to do:\n%s", again)
		}
	})
}

// checkCommonServersStay fails if a service loses a server that is in both tables, becomes empty although it has
// servers in both, or has none with a weight although it has one in both.
func checkCommonServersStay(t *rapid.T, wanted, actual []ipvs.Entry, table []ipvs.ServiceState) {
	for _, w := range wanted {
		i := slices.IndexFunc(actual, func(e ipvs.Entry) bool { return e.ServiceKey == w.ServiceKey })
		if i < 0 {
			continue
		}
		now, open := map[ipvs.DestinationKey]bool{}, false
		for _, s := range table {
			if s.ServiceKey == w.ServiceKey {
				for _, d := range s.Destinations {
					now[d.DestinationKey] = true
					open = open || d.Weight > 0
				}
			}
		}
		if len(w.Destinations) > 0 && len(actual[i].Destinations) > 0 && len(now) == 0 {
			t.Errorf("service %s is empty", w.ServiceKey)
		}
		receives := func(d ipvs.Destination) bool { return d.Weight > 0 }
		if !open && slices.ContainsFunc(w.Destinations, receives) && slices.ContainsFunc(actual[i].Destinations, receives) {
			t.Errorf("no server of %s receives connections", w.ServiceKey)
		}
		for _, d := range w.Destinations {
			had := slices.ContainsFunc(actual[i].Destinations, func(a ipvs.Destination) bool { return a.DestinationKey == d.DestinationKey })
			if had && !now[d.DestinationKey] {
				t.Errorf("service %s lacks %s", w.ServiceKey, d.DestinationKey)
			}
		}
	}
}

func TestDiffOfEqualIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t, "table")
		if plan := ipvs.Diff(table, states(table), ownsNothing); !plan.Empty() || len(plan.Foreign) > 0 {
			t.Errorf("got:\n%s", plan)
		}
	})
}

// After any failures, a second round without failures reaches the wanted table, and no failure makes a service lose its
// last server.
func TestApplyWithFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		wanted, actual := drawTable(rt, "wanted"), drawTable(rt, "actual")
		failing := rapid.SliceOfN(rapid.Bool(), 64, 64).Draw(rt, "failing")
		step := 0
		kernel := ipvstest.New(states(actual)...)
		kernel.Fail = func(ipvs.Step) syscall.Errno {
			step++
			if failing[step%len(failing)] {
				return syscall.ENOMEM
			}
			return 0
		}
		kernel.After = func(_ ipvs.Step, table []ipvs.ServiceState) { checkCommonServersStay(rt, wanted, actual, table) }
		_ = ipvs.Apply(t.Context(), kernel, ipvs.Diff(wanted, states(actual), ownsNothing))

		kernel.Fail = nil
		kernel.After = nil
		now, _ := kernel.Table(t.Context())
		if err := ipvs.Apply(t.Context(), kernel, ipvs.Diff(wanted, now, ownsNothing)); err != nil {
			rt.Fatal(err)
		}
		now, _ = kernel.Table(t.Context())
		if again := ipvs.Diff(wanted, now, ownsNothing); !again.Empty() {
			rt.Errorf("there is still something to do:\n%s", again)
		}
	})
}

func TestApplyErrors(t *testing.T) {
	wanted := []ipvs.Entry{
		{service(web, "mh"), []ipvs.Destination{weighted("10.0.0.1:80", 1), weighted("10.0.0.2:80", 1)}},
		{service(dns, "rr"), []ipvs.Destination{weighted("[fd::1]:53", 1)}},
		{service(mark, "rr"), []ipvs.Destination{weighted("10.0.0.3:0", 1), weighted("10.0.0.4:0", 1)}},
	}
	actual := states([]ipvs.Entry{{service(mark, "rr"), []ipvs.Destination{weighted("10.0.0.9:0", 1)}}})
	kernel := ipvstest.New(actual...)
	kernel.Fail = func(s ipvs.Step) syscall.Errno {
		switch {
		case s.Service.ServiceKey == web && s.Action == ipvs.AddService:
			return syscall.ENOENT
		case s.Service.ServiceKey == mark && s.Action == ipvs.AddDestination:
			return syscall.EPERM
		}
		return 0
	}
	err := ipvs.Apply(t.Context(), kernel, ipvs.Diff(wanted, actual, ownsNothing))
	failed := []struct {
		action ipvs.Action
		server string
		cause  error
	}{
		{ipvs.AddService, "", syscall.ENOENT},
		{ipvs.AddDestination, "10.0.0.3", syscall.EPERM},
		{ipvs.AddDestination, "10.0.0.4", syscall.EPERM},
		{ipvs.DeleteDestination, "10.0.0.9", ipvs.ErrNothingAdded},
	}
	errs := err.(interface{ Unwrap() []error }).Unwrap() //nolint:errorlint // all errors, in order
	if len(errs) != len(failed) {
		t.Fatalf("got errors:\n%v", err)
	}
	for i, want := range failed {
		got, ok := errors.AsType[*ipvs.StepError](errs[i])
		if !ok || got.Step.Action != want.action || want.server != "" && got.Step.Destination.Address.String() != want.server || !errors.Is(got, want.cause) {
			t.Errorf("error %d is %v, want %v", i, errs[i], want)
		}
	}
	if step, ok := errors.AsType[*ipvs.StepError](err); !ok || step.Step.Service.ServiceKey != web {
		t.Errorf("the first failed step is %v", step)
	}
	table, _ := kernel.Table(t.Context())
	if len(table) != 2 || len(table[0].Destinations) != 1 || len(table[1].Destinations) != 1 {
		t.Errorf("got table %+v, want the mark's old server and the other service", table)
	}
}

// Concurrent changes by another program are tolerated: the next round finds no difference.
func TestApplyDuringDrift(t *testing.T) {
	wanted := []ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1)}}}
	before := states([]ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.2:80", 1)}}})
	kernel := ipvstest.New(states(wanted)...)
	err := ipvs.Apply(t.Context(), kernel, ipvs.Diff(wanted, before, ownsNothing))
	if !ipvs.IsDrift(err) {
		t.Errorf("%v is not drift", err)
	}
	if other := errors.Join(err, &ipvs.StepError{Err: syscall.EPERM}); ipvs.IsDrift(other) {
		t.Errorf("%v is drift", other)
	}
	now, _ := kernel.Table(t.Context())
	if plan := ipvs.Diff(wanted, now, ownsNothing); !plan.Empty() {
		t.Errorf("got:\n%s", plan)
	}
}

// TestApplyKeepsTraffic: the servers that receive connections are not lowered or removed if their replacement fails.
func TestApplyKeepsTraffic(t *testing.T) {
	before := []ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1), weighted("10.0.0.2:80", 2), weighted("10.0.0.3:80", 0)}}}
	for _, replacement := range []string{"10.0.0.3:80", "10.0.0.4:80"} { // raised, added
		wanted := []ipvs.Entry{{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 0), weighted(replacement, 1)}}}
		kernel := ipvstest.New(states(before)...)
		kernel.Fail = func(s ipvs.Step) syscall.Errno {
			if s.Destination.DestinationKey == server(replacement) {
				return syscall.ENOMEM
			}
			return 0
		}
		err := ipvs.Apply(t.Context(), kernel, ipvs.Diff(wanted, states(before), ownsNothing))
		if !errors.Is(err, ipvs.ErrNothingAdded) {
			t.Errorf("%s: %v", replacement, err)
		}
		now, _ := kernel.Table(t.Context())
		if weights := [2]uint32{now[0].Destinations[0].Weight, now[0].Destinations[1].Weight}; weights != [2]uint32{1, 2} {
			t.Errorf("%s: the weights are %v", replacement, weights)
		}
		kernel.Fail = nil
		if err := ipvs.Apply(t.Context(), kernel, ipvs.Diff(wanted, now, ownsNothing)); err != nil {
			t.Error(err)
		}
		now, _ = kernel.Table(t.Context())
		if plan := ipvs.Diff(wanted, now, ownsNothing); !plan.Empty() {
			t.Errorf("there is still something to do:\n%s", plan)
		}
	}
}
