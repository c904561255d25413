package ipvs

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// IsRefusal reports whether err is the kernel's answer to a request: the connection works, but the request is not
// possible now.
func IsRefusal(err error) bool {
	_, ok := errors.AsType[*ipvsnl.Error](err)
	return ok
}

// IsDrift reports whether err, and every error joined in it, means that the table has changed since it was read: the
// object to add exists (EEXIST), or the one to change does not (ESRCH for a service, ENOENT for a server). The remedy is
// to read it again.
func IsDrift(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool { return !IsDrift(e) })
	}
	step, ok := errors.AsType[*StepError](err)
	if !ok {
		return false
	}
	switch step.Step.Action {
	case AddService:
		return errors.Is(err, syscall.EEXIST)
	case EditService, DeleteService:
		return errors.Is(err, syscall.ESRCH)
	case AddDestination:
		return errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ESRCH)
	}
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH)
}

// StepError is a step that failed.
type StepError struct {
	Step Step
	Err  error
}

// Error describes the action, its object, the cause and the remedy.
func (e *StepError) Error() string { return fmt.Sprintf("%s: %v", e.Step.subject(), e.Err) }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

func explain(err error, remedies map[syscall.Errno]string) error {
	return ipvsnl.Explain(err, remedies)
}

// remedies explains the kernel's errors for a step (net/netfilter/ipvs/ip_vs_ctl.c).
func (s Step) remedies() map[syscall.Errno]string {
	m := map[syscall.Errno]string{syscall.ESRCH: "no such virtual service; something else removed it"}
	switch s.Action {
	case AddService, EditService:
		m[syscall.EEXIST] = "the virtual service already exists; something else added it"
		m[syscall.ENOENT] = s.Service.missingModule()
		m[syscall.EINVAL] = "the kernel rejects this combination of address, netmask and flags"
		m[syscall.EAFNOSUPPORT] = "the kernel has no IPv6; load the ipv6 module"
		m[syscall.EPROTONOSUPPORT] = "this kernel's IPVS does not support " + s.Service.Protocol.String()
	case AddDestination, EditDestination:
		m[syscall.EEXIST] = "the real server already exists; something else added it"
		m[syscall.ENOENT] = "no such real server; something else removed it"
		m[syscall.ERANGE] = "the weight is over 2147483647, or the lower threshold is above the upper one"
		m[syscall.EINVAL] = s.Destination.invalid(s.Service.Family)
		m[syscall.EAFNOSUPPORT] = "the kernel has no IPv6; load the ipv6 module"
	case DeleteDestination:
		m[syscall.ENOENT] = "no such real server; something else removed it"
	}
	return m
}

// missingModule explains ENOENT: a missing module.
func (s Service) missingModule() string {
	text := fmt.Sprintf("the kernel has no scheduler %s; run `modprobe ip_vs_%s`", s.Scheduler, s.Scheduler)
	if s.PersistenceEngine != "" {
		text += fmt.Sprintf(", or no persistence engine %s; run `modprobe ip_vs_pe_%s`", s.PersistenceEngine, s.PersistenceEngine)
	}
	return text
}

// invalid explains EINVAL.
func (d Destination) invalid(of Family) string {
	switch {
	case family(d.Address) != of && d.Forward != Tunnel:
		return "a real server of another address family than its service requires tunnelling"
	case family(d.Address) != of:
		return "the kernel does not allow tunnels to another address family together with connection-sync daemons"
	case d.TunnelType == TunnelGUE && d.TunnelPort == 0:
		return "a gue tunnel needs a port"
	}
	return "the kernel rejects this combination of address and forwarding method, or the address is not unicast"
}
