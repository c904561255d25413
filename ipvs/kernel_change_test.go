package ipvs_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvstest"
)

// TestKernelAgreesWithFake executes the same steps, valid or not, in the kernel and in the in-memory table that other
// tests use.
func TestKernelAgreesWithFake(t *testing.T) {
	k := newKernel(t)
	rapid.Check(t, func(rt *rapid.T) {
		if err := k.Flush(t.Context()); err != nil {
			rt.Fatal(err)
		}
		fake := ipvstest.New()
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(rt, "steps")
		got, want := k.Execute(t.Context(), steps), fake.Execute(t.Context(), steps)
		for i := range steps {
			if errno(got[i]) != errno(want[i]) {
				rt.Errorf("step %d, %s: the kernel says %v, the fake %v", i, steps[i], got[i], want[i])
			}
		}
		table, err := k.Table(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		expected, _ := fake.Table(t.Context())
		if diff := gocmp.Diff(entries(expected), entries(table), values); diff != "" {
			rt.Error(diff)
		}
	})
}

// drawStep draws a step, which may be invalid.
func drawStep(t *rapid.T) ipvs.Step {
	key := rapid.SampledFrom([]ipvs.ServiceKey{web, dns, mark}).Draw(t, "key")
	s := ipvs.Step{
		Action: rapid.SampledFrom([]ipvs.Action{
			ipvs.AddService, ipvs.EditService, ipvs.DeleteService, ipvs.AddDestination, ipvs.EditDestination, ipvs.DeleteDestination,
			ipvs.AddService, ipvs.AddDestination, ipvs.AddDestination, ipvs.EditDestination,
		}).Draw(t, "action"),
		Service: service(key, rapid.SampledFrom([]string{"rr", "wlc", "mh", "sh"}).Draw(t, "scheduler")),
	}
	f := rapid.SampledFrom([]ipvs.Family{key.Family, key.Family, ipvs.IPv4, ipvs.IPv6}).Draw(t, "family")
	if list := drawServers(t, f); len(list) > 0 {
		s.Destination = list[0]
	} else {
		s.Destination = weighted("10.0.0.1:80", 1<<31)
	}
	return s
}

func errno(err error) syscall.Errno {
	e, _ := errors.AsType[syscall.Errno](err)
	return e
}

func TestKernelApply(t *testing.T) {
	k := newKernel(t)
	installed := installedSchedulers(t, k)
	rapid.Check(t, func(rt *rapid.T) {
		if err := k.Flush(t.Context()); err != nil {
			rt.Fatal(err)
		}
		for _, label := range []string{"first", "second", "third"} {
			wanted := drawTable(rt, label)
			for i := range wanted {
				if !installed[wanted[i].Scheduler] {
					wanted[i].Scheduler = "rr"
				}
			}
			actual, err := k.Table(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			plan := ipvs.Diff(wanted, actual, func(ipvs.ServiceKey) bool { return true })
			if err := ipvs.Apply(t.Context(), k, plan); err != nil {
				rt.Fatalf("%v\nof\n%s", err, plan)
			}
			got, err := k.Table(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			if diff := gocmp.Diff(sorted(wanted), entries(got), values); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}

func installedSchedulers(t *testing.T, k kernel) map[string]bool {
	t.Helper()
	installed := map[string]bool{}
	for _, name := range ipvs.Schedulers() {
		err := k.NewService(t.Context(), service(web, name))
		installed[name] = err == nil
		if err == nil {
			err = k.DeleteService(t.Context(), web)
		}
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			t.Fatal(err)
		}
	}
	return installed
}

// Goroutines that share a client receive only answers to their own requests.
func TestKernelConcurrentUse(t *testing.T) {
	k := newKernel(t)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			key := ipvs.ServiceByMark(ipvs.IPv4, uint32(g+1))
			for round := range 10 {
				if err := useService(t, k, key, round); err != nil {
					t.Errorf("goroutine %d, round %d: %v", g, round, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if table, err := k.Table(t.Context()); err != nil || len(table) != 0 {
		t.Errorf("got %v, %v, want an empty table", table, err)
	}
}

func useService(t *testing.T, k kernel, key ipvs.ServiceKey, round int) error {
	ctx := t.Context()
	if err := k.NewService(ctx, service(key, "rr")); err != nil {
		return err
	}
	if err := k.NewService(ctx, service(key, "rr")); !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("added twice: %w", err)
	}
	weight := uint32(round)
	if err := k.NewDestination(ctx, key, weighted("10.0.0.1:0", weight)); err != nil {
		return err
	}
	list, err := k.Destinations(ctx, key)
	if err != nil || len(list) != 1 || list[0].Weight != weight {
		return fmt.Errorf("got %v, %w, want one server of weight %d", list, err, weight)
	}
	if _, err := k.Table(ctx); err != nil {
		return err
	}
	return k.DeleteService(ctx, key)
}

// TestKernelDrift changes the table with ipvsadm between reading and applying.
func TestKernelDrift(t *testing.T) {
	k := newKernel(t)
	wanted := []ipvs.Entry{
		{service(web, "rr"), []ipvs.Destination{weighted("10.0.0.1:80", 1), weighted("10.0.0.2:80", 1)}},
		{service(dns, "rr"), []ipvs.Destination{weighted("[fd::1]:53", 1)}},
	}
	reconcile := func(between func()) error {
		actual, err := k.Table(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		between()
		return ipvs.Apply(t.Context(), k, ipvs.Diff(wanted, actual, ownsNothing))
	}
	for name, hand := range map[string]string{
		"adds a service":    "-A -u [2001:db8::1]:53 -s wlc",
		"adds a server":     "-a -t 192.0.2.1:80 -r 10.0.0.2:80 -m",
		"deletes a server":  "-d -t 192.0.2.1:80 -r 10.0.0.1:80",
		"deletes a service": "-D -t 192.0.2.1:80",
		"clears all":        "-C",
	} {
		t.Run(name, func(t *testing.T) {
			// Every kind of step.
			before := []ipvs.Entry{{service(web, "wrr"), []ipvs.Destination{weighted("10.0.0.1:80", 5), weighted("10.0.0.3:80", 1)}}}
			actual, err := k.Table(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := ipvs.Apply(t.Context(), k, ipvs.Diff(before, actual, func(ipvs.ServiceKey) bool { return true })); err != nil {
				t.Fatal(err)
			}
			err = reconcile(func() { k.ipvsadm(t, strings.Fields(hand)...) })
			if err != nil && !ipvs.IsDrift(err) {
				t.Errorf("got error %v, want drift", err)
			}
			if err := reconcile(func() {}); err != nil {
				t.Fatal(err)
			}
			got, err := k.Table(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(sorted(wanted), entries(got), values); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// manyServices returns n services with m servers each.
func manyServices(n, m int) []ipvs.Entry {
	list := make([]ipvs.Entry, n)
	for i := range list {
		list[i] = manyServers(m)
		list[i].Port = uint16(i + 1)
	}
	return list
}

// manyServers returns one service with n servers.
func manyServers(n int) ipvs.Entry {
	e := ipvs.Entry{Service: service(web, "wlc"), Destinations: make([]ipvs.Destination, n)}
	for i := range e.Destinations {
		e.Destinations[i].Address = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).Next()
		e.Destinations[i].Port, e.Destinations[i].Weight = 80, uint32(i+1)
	}
	return e
}

func TestKernelTenThousandServers(t *testing.T) {
	k := newKernel(t)
	wanted := []ipvs.Entry{manyServers(10000)}
	if err := ipvs.Apply(t.Context(), k, ipvs.Diff(wanted, nil, ownsNothing)); err != nil {
		t.Fatal(err)
	}
	table, err := k.Table(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := entries(table)
	if len(got) != 1 || got[0].Service != wanted[0].Service || !slices.Equal(got[0].Destinations, sorted(wanted)[0].Destinations) {
		t.Errorf("got %d services, not what was written", len(got))
	}
	if n := len(k.ipvsadm(t, "-Sn")); n != 10001 {
		t.Errorf("ipvsadm lists %d lines, want 10001", n)
	}
}
