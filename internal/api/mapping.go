package api

import (
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/history"
	"github.com/lvs-ha/lvs-ha/ipvs"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// The functions here convert values of the domain to values of the API. If both have the same fields, a function uses a type
// conversion, which fails to compile when a field is added: then decide how the API shows the field.

// InstanceOf maps a VRRP instance's status and history.
func InstanceOf(s vrrp.Status, events []history.Event) Instance {
	return Instance{
		Name: s.Name, Interface: s.Interface, VirtualRouterID: s.VirtualRouterID, Family: s.Family.String(), Version: s.Version,
		State: s.State, Reason: s.Reason, Since: s.Since, Priority: s.Priority, EffectivePriority: s.EffectivePriority,
		MasterAddress: s.MasterAddress, MasterPriority: s.MasterPriority, AdvertiseInterval: Duration(s.AdvertiseInterval),
		SkewTime: Duration(s.SkewTime), MasterDownInterval: Duration(s.MasterDownTime), PreemptHeld: s.PreemptHeld,
		Group:            s.Group,
		VMAC:             (*VMAC)(s.VMAC),
		Tracks:           mapped(s.Tracks, func(t vrrp.Track) Track { return Track(t) }),
		Conflicts:        mapped(s.Conflicts, func(c vrrp.Conflict) Conflict { return Conflict(c) }),
		TransitionCounts: mapped(s.TransitionCounts, func(t vrrp.TransitionCount) TransitionCount { return TransitionCount(t) }),
		Transitions:      s.Transitions, AdvertsSent: s.AdvertsSent, AdvertsReceived: s.AdvertsReceived, AnnouncementsSent: s.AnnouncesSent,
		Dropped: s.Dropped, RoutesRefused: s.RoutesRefused, RoutesRestored: s.RoutesRestored,
		AddressesRefused: s.AddressesRefused, AddressesRestored: s.AddressesRestored, AddressesFound: s.AddressesFound,
		SendErrors: s.SendErrors, AddressMismatches: s.AddressMismatches, InterfaceDropped: s.InterfaceDropped, Addresses: s.Addresses,
		UnicastPeers: s.UnicastPeers, History: mapped(events, TransitionOf),
	}
}

// TransitionOf maps an event of an instance's history.
func TransitionOf(e history.Event) Transition {
	return Transition{Sequence: e.Sequence, Time: e.Time, From: e.From, To: e.To, Reason: e.Reason, Priority: e.Priority, Lost: e.Lost}
}

// ServiceOf maps a virtual service's settings.
func ServiceOf(s ipvs.Service) ServiceSettings {
	return ServiceSettings{
		ServiceKey: ServiceKey(s.ServiceKey), Scheduler: s.Scheduler, Flags: s.Flags,
		PersistenceTimeout: Duration(time.Duration(s.PersistenceTimeout) * time.Second),
		PersistenceNetmask: s.NetmaskText(), PersistenceEngine: s.PersistenceEngine,
	}
}

// ServerOf maps a real server's settings.
func ServerOf(d ipvs.Destination) ServerSettings {
	return ServerSettings{
		ServerKey: ServerKey(d.DestinationKey), Forward: d.Forward, Weight: d.Weight, UpperThreshold: d.UpperThreshold,
		LowerThreshold: d.LowerThreshold, TunnelType: d.TunnelType, TunnelPort: d.TunnelPort, TunnelChecksum: d.TunnelFlags,
	}
}

// SyncOf maps a connection-sync daemon.
func SyncOf(r connsync.Running) SyncSettings {
	d := r.Daemon
	return SyncSettings{Role: r.Role, Interface: d.Interface, SyncID: d.SyncID, MaxLen: d.MaxLen, Group: d.Group, Port: d.Port, TTL: d.TTL}
}

func (s SyncSettings) running() connsync.Running {
	return connsync.Running{Role: s.Role, Daemon: connsync.Daemon{
		Interface: s.Interface, SyncID: s.SyncID, MaxLen: s.MaxLen, Group: s.Group, Port: s.Port, TTL: s.TTL,
	}}
}

// StepOf maps a change of the table.
func StepOf(s ipvs.Step) Step {
	step := Step{Action: s.Action, Service: ServiceOf(s.Service), Changes: ChangesOf(s.Changes)}
	switch s.Action {
	case ipvs.AddService:
		step.Options = s.Service.Options()
	case ipvs.AddDestination:
		step.Options = s.Destination.Options()
	}
	if s.Destination != (ipvs.Destination{}) {
		step.Destination = ServerOf(s.Destination)
	}
	return step
}

// ChangesOf maps the fields of an edit.
func ChangesOf(list []ipvs.Change) []Change {
	return mapped(list, func(c ipvs.Change) Change { return Change(c) })
}

// SyncStepOf maps a step of connection sync.
func SyncStepOf(s connsync.Step) SyncStep {
	action := "stop"
	if s.Start {
		action = "start"
	}
	return SyncStep{Action: action, SyncSettings: SyncOf(s.Daemon), Reason: s.Reason}
}

// FindingsOf maps the findings of a configuration.
func FindingsOf(list []config.Finding) []Finding {
	return mapped(list, func(f config.Finding) Finding {
		out := Finding{Severity: "error", Summary: f.Summary, Detail: f.Detail, File: f.File, Line: f.Line}
		if f.Warning {
			out.Severity = "warning"
		}
		if f.Count > 1 {
			out.Count = f.Count
		}
		return out
	})
}

func mapped[A, B any](list []A, f func(A) B) []B {
	var out []B
	for _, a := range list {
		out = append(out, f(a))
	}
	return out
}
