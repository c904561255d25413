// Package doctor diagnoses a director host: it compares the host with the configuration and reports what is missing,
// wrong or risky, each with a remedy.
//
// A check is a pure function of the configuration and the observations. Machine makes the observations, with a timeout for
// every operation, and applies fixes.
package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Severity is the severity of a finding, as it is printed.
type Severity string

// The severities.
const (
	OK      Severity = "ok"      // checked, no problem
	Info    Severity = "info"    // for information; no action required
	Warning Severity = "warning" // works, but not in all cases or not as expected
	Error   Severity = "error"   // does not work
)

// Finding is the result of a check on one subject.
type Finding struct {
	Code     string   `json:"code"` // stable: for scripts
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject,omitempty"` // an interface, a service, a server
	What     string   `json:"what"`
	Why      string   `json:"why,omitempty"`    // why it matters
	Remedy   string   `json:"remedy,omitempty"` // a shell command, or what to change
	Fixes    []Fix    `json:"fixes,omitempty"`
	Fixed    bool     `json:"fixed,omitempty"`
	FixError string   `json:"fix_error,omitempty"`
}

// Fix is a change that is safe to apply without asking. It lasts until the next boot.
type Fix struct {
	Module string `json:"module,omitempty"` // to load
	Key    string `json:"key,omitempty"`    // a kernel parameter, and its value
	Value  string `json:"value,omitempty"`
}

// Command returns the shell command of the fix.
func (f Fix) Command() string {
	if f.Module != "" {
		return "modprobe " + f.Module
	}
	return sysctl.Command(f.Key, f.Value)
}

// open reports whether a finding is a problem that was not fixed.
func (f Finding) open() bool { return !f.Fixed && (f.Severity == Error || f.Severity == Warning) }

// Exit statuses for scripts.
const (
	ExitOK       = 0 // nothing worse than info
	ExitErrors   = 1
	ExitWarnings = 2 // but no errors
)

// ExitStatus returns the exit status for scripts. Fixed findings do not count.
func ExitStatus(findings []Finding) int {
	status := ExitOK
	for _, f := range findings {
		switch {
		case f.open() && f.Severity == Error:
			return ExitErrors
		case f.open():
			status = ExitWarnings
		}
	}
	return status
}

// set adds setting a kernel parameter to the fixes.
func (f Finding) set(key, value string) Finding { return f.fixedBy(Fix{Key: key, Value: value}) }

// load adds loading a module to the fixes.
func (f Finding) load(module string) Finding { return f.fixedBy(Fix{Module: module}) }

func (f Finding) fixedBy(fix Fix) Finding {
	f.Fixes = append(f.Fixes, fix)
	if f.Remedy != "" {
		f.Remedy += "; "
	}
	f.Remedy += fix.Command()
	return f
}

func ok(code, format string, args ...any) Finding {
	return Finding{Code: code, Severity: OK, What: fmt.Sprintf(format, args...)}
}

// check examines one subject. It returns no findings if the configuration does not concern the subject.
type check func(cfg *config.Config, o *Observed) []Finding

// checks are in the order in which their findings are printed.
var checks = []check{
	capabilities,
	kernelIPVS,
	schedulers,
	forwardingParameters,
	deviceForwarding,
	reversePath,
	interfaces,
	virtualAddresses,
	gateways,
	secondaries,
	arpFlux,
	loopbackAddresses,
	scripts,
	otherDaemons,
	adverts,
	conflicts,
	virtualMACs,
	serverSources,
	serverRoutes,
	natWayBack,
	tunnels,
	serverProbes,
	connectionTracking,
	expiry,
	synchronization,
	estimation,
	clock,
}

// Examine runs all checks.
func Examine(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, c := range checks {
		out = append(out, c(cfg, o)...)
	}
	for _, u := range o.Unseen {
		out = append(out, Finding{Code: "not-seen", Severity: Info, What: fmt.Sprintf("could not examine %s: %s", u.What, u.Err)})
	}
	return out
}

// server is a real server of a service.
type server struct {
	service *config.VirtualService
	config.RealServer
}

func servers(cfg *config.Config) []server {
	var out []server
	for i := range cfg.Services {
		for _, r := range cfg.Services[i].RealServers {
			out = append(out, server{&cfg.Services[i], r})
		}
	}
	return out
}

// byAddress returns the servers with one of the forwarding methods, each address once.
func byAddress(cfg *config.Config, methods ...ipvs.ForwardMethod) []server {
	var out []server
	for _, s := range servers(cfg) {
		seen := slices.ContainsFunc(out, func(t server) bool { return t.Address == s.Address })
		if slices.Contains(methods, s.Forward) && !seen {
			out = append(out, s)
		}
	}
	return out
}

// needsIPVS reports whether the configuration uses IPVS.
func needsIPVS(cfg *config.Config) bool {
	return len(cfg.Services) > 0 || cfg.Timeouts != nil || synchronizes(cfg)
}

func synchronizes(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.VRRP, func(v config.VRRP) bool { return v.ConnectionSync != nil })
}

// virtual is a virtual address with its interface.
type virtual struct {
	instance string
	prefix   netip.Prefix
	iface    string
}

func virtuals(cfg *config.Config) []virtual {
	var out []virtual
	for _, v := range cfg.VRRP {
		for _, a := range v.Addresses {
			iface := a.Interface
			if iface == "" {
				iface = v.Interface
			}
			out = append(out, virtual{v.Name, a.Prefix, iface})
		}
	}
	return out
}

// isVirtual reports whether the address of an interface is a VRRP address or the address of a service.
func isVirtual(cfg *config.Config, iface string, a netip.Addr) bool {
	at := vrrp.OnLink(a, iface)
	return slices.ContainsFunc(virtuals(cfg), func(v virtual) bool { return vrrp.OnLink(v.prefix.Addr(), v.iface) == at }) ||
		slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool { return s.Address == a })
}

// Machine is the host that is examined and repaired.
type Machine interface {
	// Observe collects what the checks need. What it cannot read it lists in Observed.Unseen.
	Observe(ctx context.Context, cfg *config.Config) *Observed
	Fix(ctx context.Context, f Fix) error
}

// ApplyFixes applies the fixes of all findings and records the outcome in each.
func ApplyFixes(ctx context.Context, m Machine, findings []Finding) []Finding {
	for i := range findings {
		f := &findings[i]
		for _, fix := range f.Fixes {
			if err := m.Fix(ctx, fix); err != nil {
				f.FixError = err.Error()
				break
			}
		}
		f.Fixed = len(f.Fixes) > 0 && f.FixError == ""
	}
	return findings
}
