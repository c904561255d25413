package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// check looks at one subject. It finds something in any case, or nothing where the configuration has nothing to do
// with it.
type check func(cfg *config.Config, o *Observed) []Finding

// checks are in the order in which their findings are shown.
var checks = []check{
	capabilities,
	kernelIPVS,
	schedulers,
	forwardingParameters,
	deviceForwarding,
	reversePath,
	interfaces,
	virtualAddresses,
	secondaries,
	arpFlux,
	loopbackAddresses,
	otherDaemons,
	adverts,
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

// Examine finds what is right and what is wrong.
func Examine(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, c := range checks {
		out = append(out, c(cfg, o)...)
	}
	for _, u := range o.Unseen {
		out = append(out, Finding{Code: "not-seen", Severity: Info, What: fmt.Sprintf("%s could not be looked at: %s", u.What, u.Err)})
	}
	return out
}

// server is a real server as a service uses it.
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

// byAddress are the servers that are forwarded to by one of the methods, each address once.
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

// needsIPVS reports whether the configuration has anything to do in the kernel's IPVS.
func needsIPVS(cfg *config.Config) bool {
	return len(cfg.Services) > 0 || cfg.Timeouts != nil || synchronizes(cfg)
}

func synchronizes(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.VRRP, func(v config.VRRP) bool { return v.ConnectionSync != nil })
}

// virtual is a virtual address with the device it is to be on.
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

// isVirtual reports whether the address is one that moves between directors, or that a service is reached at.
func isVirtual(cfg *config.Config, a netip.Addr) bool {
	return slices.ContainsFunc(virtuals(cfg), func(v virtual) bool { return v.prefix.Addr() == a }) ||
		slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool { return s.Address == a })
}
