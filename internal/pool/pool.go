// Package pool decides which real servers of a virtual service are in the kernel's table, with which weight, and why. It
// is pure: a verdict depends only on the arguments of Decide, and is computed when needed rather than stored.
package pool

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// Inputs are the inputs of a verdict besides the configuration of the virtual service.
type Inputs struct {
	Health  *Results              // of the checks; nil: none
	Checked func(key string) bool // whether a target is being checked; targets that are not count as passing. nil means all are
	Adopted Adopted
	Table   map[ipvs.ServiceKey][]ipvs.DestinationState // the kernel's, of services that are reconciled; without it, no server begins to linger

	Memories  map[ipvs.ServiceKey]Memory // of the last verdicts
	Overrides map[Server]Override
	Waiting   map[ipvs.ServiceKey]bool // a source of real servers has not answered yet, nor failed
	Suspended map[ipvs.ServiceKey]bool // their checks do not run on this director
	Now       time.Time

	Seen func(netip.AddrPort, *healthcheck.Spec, *healthcheck.Health) // called with each check of each server, in order; may be nil

	numbers    []int32                // of the checks of the next real servers, if they are known
	identities []healthcheck.Identity // of the service's checks, which most servers have, otherwise
	key        []byte
}

// Verdict is the desired state of a virtual service's pool.
type Verdict struct {
	Service ipvs.Service
	Members []Member // one for each real server, in the order of the configuration
	Quorum  Quorum
	Memory  Memory    // for the next verdict
	Changes time.Time // when the verdict changes without any event; zero means never
	Leaving []Leaving // not members, or members that are not in the table: they keep their connections with weight 0
}

// Member is a real server of a pool.
type Member struct {
	Destination ipvs.Destination // as configured, with its effective weight; 0 if it is not in the table
	InTable     bool
	Sorry       bool
	State       healthcheck.State
	Reason      Reason
	Assumed     bool      // one of its checks is not running and counts as passing
	Since       time.Time // when the last of the checks with State reached it; zero if there is none
}

// Reason is why a member is, or is not, in the table with its weight.
type Reason uint8

// The reasons.
const (
	NoChecks      Reason = iota // in the table: no check is configured
	ChecksPassing               // in the table: all checks pass
	CheckFailed                 // a check failed: removed, or in the table with weight 0
	NoResult                    // a check has no result yet: as for CheckFailed
	AsFound                     // a check has no result yet: in the table with the weight found in the kernel
	NoQuorum                    // a sorry server replaces it: in the table with weight 0, or removed
	Standby                     // a sorry server that is not needed: in the table with weight 0, or not at all
	Advised                     // in the table: all checks pass, and one of them changes the weight
	Draining                    // in the table with weight 0: the server's agent, or a file, asks for it
	InMaintenance               // as for CheckFailed: the server's agent, or a file, asks for it
	Drained                     // by an operator: in the table with weight 0
	Disabled                    // by an operator, or drained until its deadline: not in the table
	Kept                        // a check failed, but fewer than min_up servers would remain: in the table
	SlowStart                   // in the table with a part of its weight, after a recovery
	Presumed                    // a check has no result yet: in the table because of init = "up"
	Unlisted                    // in the table with weight 0: its source no longer lists it
	Suspended                   // its checks do not run on this director: as found in the table
	Removed                     // no longer a member: it keeps its connections for a time
)

var reasonNames = [...]string{
	NoChecks: "no-checks", ChecksPassing: "checks-passing", CheckFailed: "check-failed", NoResult: "no-result", AsFound: "as-found",
	NoQuorum: "no-quorum", Standby: "standby",
	Advised: "weight-from-check", Draining: "drain", InMaintenance: "maintenance",
	Drained: "drained", Disabled: "disabled", Kept: "kept-by-min-up", SlowStart: "slow-start", Presumed: "presumed-up", Unlisted: "unlisted", Suspended: "suspended",
	Removed: "removed",
}

// String returns the reason's code.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Decide returns the verdict on a virtual service's pool.
func Decide(vs *config.VirtualService, in Inputs) Verdict {
	v := Verdict{Service: vs.Service, Members: make([]Member, len(vs.RealServers))}
	if in.Checked == nil {
		in.numbers = in.Health.checksOf(vs)
	}
	if in.numbers == nil {
		for _, spec := range vs.Checks {
			in.identities = append(in.identities, spec.Identity())
		}
	}
	for i := range vs.RealServers {
		in.member(&v.Members[i], vs, &vs.RealServers[i])
	}
	in.keepMinimum(&v, vs)
	v.Quorum = in.quorum(vs, v.Members)
	v.Memory.InUse = inUse(v, vs)
	v.Memory.Recovering = in.ramp(&v, vs)
	in.distribute(&v, vs)
	in.linger(&v, vs)
	former := in.Memories[vs.ServiceKey]
	switch v.Quorum.State {
	case healthcheck.Unknown:
		v.Memory.Quorum, v.Memory.Since = former.Quorum, former.Since
	case former.Quorum:
		v.Memory.Quorum, v.Memory.Since = former.Quorum, former.Since
		v.Quorum.Since = former.Since
	default:
		v.Memory.Quorum, v.Memory.Since = v.Quorum.State, in.Now
		v.Quorum.Since = in.Now
	}
	return v
}

func (in *Inputs) member(m *Member, vs *config.VirtualService, rs *config.RealServer) {
	in.checked(m, vs, rs)
	in.obeyOverride(m, vs)
	if !rs.Unlisted.IsZero() && m.InTable && m.State != healthcheck.Down {
		m.Destination.Weight, m.Reason = 0, Unlisted
	}
}

// checked sets a member as its checks say.
func (in *Inputs) checked(m *Member, vs *config.VirtualService, rs *config.RealServer) {
	m.Destination, m.Sorry = rs.Destination, rs.Sorry
	advices := in.combineChecks(m, vs, rs)
	switch m.State {
	case healthcheck.Up:
		m.InTable = true
		m.advise(vs, rs, advices)
		return
	case healthcheck.Unknown:
		weight, found := in.Adopted[Server{vs.ServiceKey, rs.DestinationKey}]
		if found {
			m.InTable, m.Destination.Weight, m.Reason = true, weight, AsFound
		} else if vs.StartsUp(*rs) {
			m.InTable, m.Reason = true, Presumed
		}
		if in.Suspended[vs.ServiceKey] {
			m.Reason = Suspended
		}
		if m.InTable {
			return
		}
	}
	m.InTable, m.Destination.Weight = vs.FailureOf(*rs) == config.Weight, 0
}

// combineChecks sets a member's state as its checks say, and returns what they advise.
func (in *Inputs) combineChecks(m *Member, vs *config.VirtualService, rs *config.RealServer) []healthcheck.Advice {
	m.State, m.Reason = healthcheck.Up, NoChecks
	var counted, vetoing tally
	var advices []healthcheck.Advice
	specs := ChecksOf(vs, rs)
	for i := range specs {
		health, assumed := in.healthOf(vs, rs, i)
		if in.Seen != nil {
			in.Seen(specs[i].Endpoint(rs.Address, rs.Port), &specs[i], health)
		}
		m.Assumed = m.Assumed || assumed
		if health.Advice != (healthcheck.Advice{}) {
			advices = append(advices, health.Advice)
		}
		if specs[i].Vetoes() {
			vetoing.add(health)
		} else {
			counted.add(health)
		}
	}
	if counted.all+vetoing.all == 0 {
		return nil
	}
	m.State = worse(counted.state(vs.Required), vetoing.state(0))
	m.Since, m.Reason = counted.since[m.State], reasonOf(m.State)
	if last := vetoing.since[m.State]; last.After(m.Since) {
		m.Since = last
	}
	return advices
}

// tally counts checks by state.
type tally struct {
	all    int
	states [healthcheck.Down + 1]int
	since  [healthcheck.Down + 1]time.Time // the last
}

func (t *tally) add(h *healthcheck.Health) {
	t.all++
	t.states[h.State]++
	if h.Since.After(t.since[h.State]) {
		t.since[h.State] = h.Since
	}
}

// state is up if as many checks pass as are required (0: all), down if so many cannot pass any more, and otherwise unknown.
func (t *tally) state(required int) healthcheck.State {
	if required == 0 || required > t.all {
		required = t.all
	}
	switch {
	case t.states[healthcheck.Up] >= required:
		return healthcheck.Up
	case t.all-t.states[healthcheck.Down] < required:
		return healthcheck.Down
	}
	return healthcheck.Unknown
}

// worse returns the worse of two states: Down before Unknown before Up.
func worse(a, b healthcheck.State) healthcheck.State {
	if a == healthcheck.Down || b == healthcheck.Up {
		return a
	}
	return b
}

var (
	noResult = &healthcheck.Health{}
	passing  = &healthcheck.Health{State: healthcheck.Up}
)

// healthOf returns the health of the i-th check of a real server.
func (in *Inputs) healthOf(vs *config.VirtualService, rs *config.RealServer, i int) (health *healthcheck.Health, assumed bool) {
	if in.numbers != nil {
		n := in.numbers[0]
		in.numbers = in.numbers[1:]
		if n == noCheck {
			return noResult, false
		}
		return in.Health.at(n), false
	}
	spec := ChecksOf(vs, rs)[i]
	t := healthcheck.NewTarget(rs.Address, rs.Port, spec)
	if len(rs.Checks) == 0 {
		in.key = t.AppendKey(in.key[:0], in.identities[i])
	} else {
		in.key = t.AppendKey(in.key[:0], spec.Identity())
	}
	if in.Checked != nil && !in.Checked(string(in.key)) && !in.Suspended[vs.ServiceKey] {
		return passing, true
	}
	return in.Health.find(in.key), false
}

func reasonOf(s healthcheck.State) Reason {
	switch s {
	case healthcheck.Up:
		return ChecksPassing
	case healthcheck.Down:
		return CheckFailed
	}
	return NoResult
}

// Entry returns the desired virtual service in the kernel's table.
func (v Verdict) Entry() ipvs.Entry {
	e := ipvs.Entry{Service: v.Service, Destinations: make([]ipvs.Destination, 0, len(v.Members)+len(v.Leaving))}
	for _, m := range v.Members {
		if m.InTable {
			e.Destinations = append(e.Destinations, m.Destination)
		}
	}
	for _, l := range v.Leaving {
		e.Destinations = append(e.Destinations, l.Destination)
	}
	return e
}
