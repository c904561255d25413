package pool

import (
	"slices"
	"unsafe"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Results are the distinct checks of a configuration, by number, with their health and the services that use each. It is not safe for
// concurrent use, but Share gives a reader a copy of its own. The zero value has no checks.
type Results struct {
	numbers map[string]int32    // of checks, by target key
	users   [][]ipvs.ServiceKey // of each check
	of      map[ipvs.ServiceKey]serviceChecks
	pages   [][]healthcheck.Health // resultsPage of them each
	shared  []bool                 // pages that another copy has too
}

// serviceChecks are the numbers of the checks of a service: of its first real server, then of the next one.
type serviceChecks struct {
	servers []config.RealServer // for which the numbers are right: a configuration never changes its lists
	specs   []healthcheck.Spec
	numbers []int32 // noCheck: it is not running
}

const (
	// resultsPage is small enough that a page is copied in microseconds when it changes after Share.
	resultsPage = 256

	noCheck = -1
)

// NewResults returns the checks of services, with their health so far, and their targets. Suspended services use only what the others
// check.
func NewResults(services []config.VirtualService, suspended map[ipvs.ServiceKey]bool, former *Results) (*Results, []healthcheck.Target) {
	r := &Results{numbers: map[string]int32{}, of: make(map[ipvs.ServiceKey]serviceChecks, len(services))}
	var targets []healthcheck.Target
	for _, pass := range []bool{false, true} {
		for i := range services {
			vs := &services[i]
			if suspended[vs.ServiceKey] == pass {
				targets = r.add(vs, pass, targets)
			}
		}
	}
	r.pages = make([][]healthcheck.Health, (len(targets)+resultsPage-1)/resultsPage)
	r.shared = make([]bool, len(r.pages))
	for p := range r.pages {
		r.pages[p] = make([]healthcheck.Health, min(resultsPage, len(targets)-p*resultsPage))
	}
	for key, was := range former.numbers {
		if n, still := r.numbers[key]; still {
			*r.at(n) = *former.at(was)
		}
	}
	return r, targets
}

// add numbers the checks of a service.
func (r *Results) add(vs *config.VirtualService, suspended bool, targets []healthcheck.Target) []healthcheck.Target {
	alone := []ipvs.ServiceKey{vs.ServiceKey} // one list for all checks without other users
	list := make([]int32, 0, len(vs.RealServers)*max(len(vs.Checks), 1))
	var key []byte
	for i := range vs.RealServers {
		for t := range Targets(vs, &vs.RealServers[i]) {
			key = t.AppendKey(key[:0], t.Spec.Identity())
			n, known := r.numbers[string(key)]
			switch {
			case known:
				r.users[n] = append(slices.Clip(r.users[n]), vs.ServiceKey)
			case suspended:
				n = noCheck
			default:
				n = int32(len(targets))
				r.numbers[string(key)] = n
				r.users, targets = append(r.users, alone), append(targets, t)
			}
			list = append(list, n)
		}
	}
	r.of[vs.ServiceKey] = serviceChecks{vs.RealServers, vs.Checks, list}
	return targets
}

// checksOf returns the numbers of a service's checks, or nil if this is not the service that they were numbered for.
func (r *Results) checksOf(vs *config.VirtualService) []int32 {
	if r == nil {
		return nil
	}
	known := r.of[vs.ServiceKey]
	if !same(known.servers, vs.RealServers) || !same(known.specs, vs.Checks) {
		return nil
	}
	return known.numbers
}

// same reports whether two lists are the same memory.
func same[T any](a, b []T) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}

func (r *Results) at(n int32) *healthcheck.Health { return &r.pages[n/resultsPage][n%resultsPage] }

// Len returns the number of checks.
func (r *Results) Len() int { return len(r.users) }

// Users returns the services that use a check; none if it is not one of the configuration.
func (r *Results) Users(key string) []ipvs.ServiceKey {
	if n, known := r.numbers[key]; known {
		return r.users[n]
	}
	return nil
}

// Lost calls f with the keys of the checks that later results do not have.
func (r *Results) Lost(later *Results, f func(key string)) {
	for key := range r.numbers {
		if _, still := later.numbers[key]; !still {
			f(key)
		}
	}
}

// Of returns the health of a check; the zero value if there is no result.
func (r *Results) Of(key string) healthcheck.Health { return *r.find([]byte(key)) }

func (r *Results) find(key []byte) *healthcheck.Health {
	if r == nil {
		return noResult
	}
	if n, known := r.numbers[string(key)]; known {
		return r.at(n)
	}
	return noResult
}

// Set sets the health of a check, if the configuration has it.
func (r *Results) Set(key string, h healthcheck.Health) {
	n, known := r.numbers[key]
	if !known {
		return
	}
	if page := n / resultsPage; r.shared[page] {
		r.pages[page], r.shared[page] = slices.Clone(r.pages[page]), false
	}
	*r.at(n) = h
}

// Complete reports whether every check has a result.
func (r *Results) Complete() bool {
	for _, page := range r.pages {
		for i := range page {
			if page[i].State == healthcheck.Unknown {
				return false
			}
		}
	}
	return true
}

// Share returns a copy, which Set does not change.
func (r *Results) Share() *Results {
	for p := range r.shared {
		r.shared[p] = true
	}
	out := *r
	out.pages, out.shared = slices.Clone(r.pages), slices.Clone(r.shared)
	return &out
}
