package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Trouble is why a director is not healthy, in one sentence.
type Trouble struct {
	Grave bool      `json:"grave"` // service or redundancy is lost; otherwise part of a pool
	Since time.Time `json:"since,omitzero"`
	What  string    `json:"what"` // "vrrp web", "service http"
	Text  string    `json:"text"`
}

// Troubles lists what is wrong, grave ones first.
func (s Status) Troubles() []Trouble {
	t := newTroubles(&s)
	for i := range s.Services {
		t.service(&s.Services[i])
	}
	return t.sorted()
}

// troubles collects what is wrong: with everything but the services, then with sources of real servers, then with services.
type troubles struct {
	list, services []Trouble
	unreadable     bool            // the kernel's table: that a service is not there says nothing
	sources        map[string]bool // whose failures are listed
}

// newTroubles returns what is wrong with everything but the services.
func newTroubles(s *Status) *troubles {
	var list []Trouble
	for _, p := range s.Problems {
		list = append(list, Trouble{true, p.Since, p.What, p.Text})
	}
	if reason := s.Config.ReloadError; reason != "" {
		list = append(list, Trouble{true, s.Config.Read, "configuration", "the last reload was refused; " + refusedText(reason)})
	}
	if reason := s.Config.StartError; reason != "" {
		list = append(list, Trouble{true, s.Config.Read, "configuration", "the file was refused when the director was restarted; " + refusedText(reason)})
	}
	if until := s.Config.ConfirmUntil; !until.IsZero() {
		list = append(list, Trouble{true, s.Config.Loaded, "configuration", "not confirmed yet: lvs-ha goes back to the previous one at " + until.Local().Format(time.TimeOnly) + " (run `lvs-ha confirm`, or `lvs-ha apply --undo` to go back now)"})
	}
	if reason := s.Config.Reverted; reason != "" {
		list = append(list, Trouble{true, s.Config.Loaded, "configuration", "the file is not in force: it was applied and " + reason + "; the previous configuration is in force (`lvs-ha apply` or `lvs-ha reload` loads the file again)"})
	}
	for _, v := range s.VRRP {
		list = append(list, instanceTroubles(v)...)
	}
	ipvs := slices.ContainsFunc(s.Problems, func(p Problem) bool { return p.What == "ipvs" })
	return &troubles{list: list, unreadable: ipvs || s.KernelUnknown(), sources: map[string]bool{}}
}

func (t *troubles) service(v *Service) {
	t.list = append(t.list, t.sourceTroubles(v)...)
	if !v.Present && !t.unreadable {
		t.services = append(t.services, Trouble{true, time.Time{}, "service " + v.Name, v.ServiceKey.String() + " is not in the kernel"})
	}
	t.services = append(t.services, serviceTroubles(v)...)
}

// sorted returns them all, grave ones first.
func (t *troubles) sorted() []Trouble {
	list := append(t.list, t.services...)
	slices.SortStableFunc(list, func(a, b Trouble) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

func rank(t Trouble) int {
	if t.Grave {
		return 0
	}
	return 1
}

// refusedText names the error of a refused configuration, and the command that shows all of it.
func refusedText(reason string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(reason), "\n")
	return "an earlier configuration is in force: " + first + " (run `lvs-ha validate`)"
}

func instanceTroubles(v Instance) []Trouble {
	var list []Trouble
	what := "vrrp " + v.Name
	if v.State == vrrp.Initialize && v.Reason != string(vrrp.ReasonTrack) && v.Reason != string(vrrp.ReasonTrackPending) && v.Reason != string(vrrp.ReasonGroupFault) {
		list = append(list, Trouble{true, v.Since, what, "out of service: " + v.Reason + " on " + v.Interface})
	}
	for _, t := range v.Tracks {
		if text, grave := trackTrouble(t); text != "" {
			list = append(list, Trouble{grave, t.Since, what, fmt.Sprintf("%s: %s %s: %s", text, t.Kind, t.Name, t.Reason)})
		}
	}
	for _, c := range Causes(v.Conflicts) {
		list = append(list, Trouble{true, c.Since, what, c.What() + "; " + c.Remedy()})
	}
	if v.VMAC != nil && v.VMAC.Problem != "" {
		list = append(list, Trouble{true, v.Since, what, "virtual MAC address: " + v.VMAC.Problem})
	}
	for _, text := range v.AddressesRefused {
		list = append(list, Trouble{true, v.Since, what, "virtual address refused, retrying: " + text})
	}
	for _, text := range v.RoutesRefused {
		list = append(list, Trouble{true, v.Since, what, "virtual route or rule refused, retrying: " + text})
	}
	return list
}

// trackTrouble describes the effect of a track on its instance, if that is a problem. Refused addresses and a table that cannot
// be programmed are listed elsewhere, a failover is not a problem, and the cause of a sync group's track is listed for the
// member that has it.
func trackTrouble(t Track) (text string, grave bool) {
	switch {
	case t.Kind == vrrp.TrackAddresses, t.Kind == vrrp.TrackFailover, t.Kind == vrrp.TrackTable, t.Kind == vrrp.TrackGroup:
	case t.Effect == vrrp.EffectFault:
		return "out of service", true
	case t.Effect == vrrp.EffectLastResort:
		return "last resort", true
	case t.Effect == vrrp.EffectOffset && t.Offset < 0:
		return fmt.Sprintf("priority lowered by %d", -t.Offset), false
	case t.Failed:
		return "priority not raised", false
	}
	return "", false
}

// sourceTroubles lists a service's sources that fail, unless another service has the same, and the servers that it cannot use.
func (t *troubles) sourceTroubles(v *Service) []Trouble {
	var list []Trouble
	for _, s := range v.Sources {
		if len(s.Ignored) > 0 {
			list = append(list, Trouble{false, time.Time{}, "service " + v.Name, s.Name + " lists servers that cannot be used: " + strings.Join(s.Ignored, ", ")})
		}
		if s.Error == "" || t.sources[s.Name] {
			continue
		}
		t.sources[s.Name] = true
		stays := fmt.Sprintf("; the last list, of %d real servers, stays in use", s.Listed)
		if !s.Known {
			stays = "; its real servers are not known"
		}
		list = append(list, Trouble{!s.Known, s.Failed, "discover " + s.Name, s.Error + stays})
	}
	return list
}

// maxServersNamed limits the failed real servers listed per service.
const maxServersNamed = 5

func serviceTroubles(v *Service) []Trouble {
	what := "service " + v.Name
	var down []*Server
	real, realDown, instead := 0, 0, ""
	for i := range v.Servers {
		r := &v.Servers[i]
		switch {
		case !r.Sorry:
			real++
		case r.KernelWeight > 0:
			instead = "; a sorry server is in use"
		}
		if r.State == healthcheck.Down && !outOfService(r) {
			down = append(down, r)
			if !r.Sorry {
				realDown++
			}
		}
	}
	var list []Trouble
	switch {
	case realDown > 0 && realDown == real:
		list = append(list, Trouble{true, latest(down), what, fmt.Sprintf("no real server passes its checks (0 of %d)%s", real, instead)})
	case v.Quorum.State == healthcheck.Down && real > 0:
		list = append(list, Trouble{true, v.Quorum.Since, what, fmt.Sprintf("quorum lost: %d of %d needed%s", v.Quorum.Live, v.Quorum.Needed, instead)})
	}
	for i, r := range down {
		if i == maxServersNamed {
			list = append(list, Trouble{false, time.Time{}, what, fmt.Sprintf("and %d more real servers down", len(down)-i)})
			break
		}
		text := r.ServerKey.String() + " down"
		if detail := r.Detail(); detail != "" {
			text += ": " + detail
		}
		list = append(list, Trouble{false, r.Since, what, text})
	}
	return list
}

// outOfService reports whether an operator has taken a server out of service, so that its failure is expected.
func outOfService(r *Server) bool {
	return r.Override != nil && r.Override.Action != OverrideWeight
}

func latest(servers []*Server) time.Time {
	var last time.Time
	for _, r := range servers {
		if r.Since.After(last) {
			last = r.Since
		}
	}
	return last
}

// Detail returns the check results that explain a real server's state.
func (r *Server) Detail() string {
	detail := ""
	for _, c := range r.Checks {
		if c.State == r.State && c.Detail != "" {
			detail = c.Kind + ": " + c.Detail
		}
	}
	return detail
}
