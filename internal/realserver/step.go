package realserver

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Action is the kind of a step.
type Action string

// The actions.
const (
	LoadModule    Action = "load-module"
	SetUp         Action = "set-up"
	SetDown       Action = "set-down"
	TakeAny       Action = "take-any"  // ip6tnl0 accepts IPv4 as well as IPv6
	TakeIPv6      Action = "take-ipv6" // ip6tnl0 accepts only IPv6, the default
	AddFOU        Action = "add-fou"   // decapsulate GUE
	RemoveFOU     Action = "remove-fou"
	SetSysctl     Action = "set-sysctl"
	AddAddress    Action = "add-address"
	RemoveAddress Action = "remove-address"
	AddRoute      Action = "add-route"
	RemoveRoute   Action = "remove-route"
)

// Step is one change to the host. The action determines which fields are used.
type Step struct {
	Action    Action     `json:"action"`
	Module    string     `json:"module,omitempty"`
	Interface string     `json:"interface,omitempty"`
	Address   netip.Addr `json:"address,omitzero"`
	IPv6      bool       `json:"ipv6,omitempty"` // of a FOU port
	Port      uint16     `json:"port,omitempty"`
	Key       string     `json:"key,omitempty"`
	Value     string     `json:"value,omitempty"`
	Before    string     `json:"before,omitempty"` // the parameter's value that Value replaces
}

// opposite maps each action to the one that undoes it.
var opposite = map[Action]Action{
	SetUp: SetDown, SetDown: SetUp,
	TakeAny: TakeIPv6, TakeIPv6: TakeAny,
	AddFOU: RemoveFOU, RemoveFOU: AddFOU,
	SetSysctl:  SetSysctl,
	AddAddress: RemoveAddress, RemoveAddress: AddAddress,
	AddRoute: RemoveRoute, RemoveRoute: AddRoute,
}

// Undo returns the step that undoes this one. A module stays loaded, because others may use it by now.
func (s Step) Undo() (Step, bool) {
	back, ok := opposite[s.Action]
	if !ok {
		return Step{}, false
	}
	s.Action = back
	if back == SetSysctl {
		s.Value, s.Before = s.Before, s.Value
	}
	return s, true
}

// same reports whether two steps are equal except for the previous value.
func (s Step) same(t Step) bool {
	s.Before, t.Before = "", ""
	return s == t
}

// Command returns the shell command of the step. It can be repeated.
func (s Step) Command() string {
	family, prefix := "-4", HostPrefix(s.Address)
	if s.IPv6 || s.Address.Is6() {
		family = "-6"
	}
	switch s.Action {
	case LoadModule:
		return "modprobe " + s.Module
	case SetUp:
		return fmt.Sprintf("ip link set dev %s up", s.Interface)
	case SetDown:
		return fmt.Sprintf("ip link set dev %s down", s.Interface)
	case TakeAny:
		return fmt.Sprintf("ip -6 tunnel change %s mode any", s.Interface)
	case TakeIPv6:
		return fmt.Sprintf("ip -6 tunnel change %s mode ip6ip6", s.Interface)
	case AddFOU:
		return fmt.Sprintf("ip %s fou add port %d gue", family, s.Port)
	case RemoveFOU:
		return fmt.Sprintf("ip %s fou del port %d", family, s.Port)
	case SetSysctl:
		return sysctl.Command(s.Key, s.Value)
	case AddAddress:
		if s.Address.Is6() {
			return fmt.Sprintf("ip -6 address replace %s dev %s nodad preferred_lft 0", prefix, s.Interface)
		}
		return fmt.Sprintf("ip -4 address replace %s dev %s", prefix, s.Interface)
	case RemoveAddress:
		return fmt.Sprintf("ip %s address del %s dev %s", family, prefix, s.Interface)
	case AddRoute:
		return fmt.Sprintf("ip -4 route replace %s dev %s scope link", prefix, s.Interface)
	case RemoveRoute:
		return fmt.Sprintf("ip -4 route del %s dev %s scope link", prefix, s.Interface)
	}
	return ""
}

func (s Step) String() string { return s.Command() }

// describe joins the commands of several steps.
func describe(steps []Step) string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, s.Command())
	}
	return strings.Join(lines, "; ")
}
