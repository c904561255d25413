package pool_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/internal/pool"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// TestResultsOfAService compares verdicts by the numbers of the checks with those by their keys, which are used for services of another
// configuration.
func TestResultsOfAService(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		services := drawServices(t)
		suspended := map[ipvs.ServiceKey]bool{}
		for _, vs := range services {
			suspended[vs.ServiceKey] = rapid.Bool().Draw(t, "suspended")
		}
		r, targets := pool.NewResults(services, suspended, &pool.Results{})
		for _, target := range targets {
			r.Set(target.Key(), healthcheck.Health{State: rapid.SampledFrom([]healthcheck.State{unknown, up, down}).Draw(t, "state")})
		}
		r, _ = pool.NewResults(services, suspended, r) // a reload keeps them
		for _, vs := range services {
			other := vs
			other.RealServers = slices.Clone(vs.RealServers)
			in := pool.Inputs{Health: r, Suspended: suspended}
			if diff := cmp.Diff(pool.Decide(&other, in), pool.Decide(&vs, in), values); diff != "" {
				t.Fatalf("by key (-) and by number (+):\n%s", diff)
			}
		}
	})
}

// TestSharedResults checks that a reader's copy does not change, nor that of a second reader, and that the original does.
func TestSharedResults(t *testing.T) {
	vs := webService(config.Remove, tcpCheck(1))
	for i := range 1000 {
		vs.RealServers = append(vs.RealServers, config.RealServer{Destination: destination("10.0.0.1:80", 1)})
		vs.RealServers[i].Port = uint16(i)
	}
	vs.Checks[0].Port = 0
	r, targets := pool.NewResults([]config.VirtualService{vs}, nil, &pool.Results{})
	set := func(state healthcheck.State) {
		for _, target := range targets {
			r.Set(target.Key(), healthcheck.Health{State: state})
		}
	}
	expect := func(who string, r *pool.Results, want healthcheck.State) {
		t.Helper()
		for _, target := range targets {
			if got := r.Of(target.Key()).State; got != want {
				t.Fatalf("%s has %v of %v, want %v", who, got, target, want)
			}
		}
	}
	first := r.Share()
	set(up)
	second := r.Share()
	set(down)
	expect("the first reader", first, unknown)
	expect("the second reader", second, up)
	expect("the owner", r, down)
	if first.Complete() || !second.Complete() || r.Len() != 1000 {
		t.Errorf("complete: first %v, second %v; %d checks", first.Complete(), second.Complete(), r.Len())
	}
	if users := r.Users(targets[999].Key()); !slices.Equal(users, []ipvs.ServiceKey{vs.ServiceKey}) || r.Users("other") != nil {
		t.Errorf("the last check is used by %v", users)
	}
	if got := r.Of("other"); got != (healthcheck.Health{}) {
		t.Errorf("another check has %+v", got)
	}
}
