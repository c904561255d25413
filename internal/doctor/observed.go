package doctor

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Observed is the state of a director host.
type Observed struct {
	Modules      Modules
	IPVS         bool              // available now
	Sysctls      map[string]string // those that checks need and the kernel has
	Links        host.Links
	Addresses    []host.Address
	Defaults     []host.Route              // best first
	Routes       map[netip.Addr]host.Route // to each reachable real server
	Unreachable  map[netip.Addr]string     // why there is no route to a real server
	Neighbors    map[netip.Addr]bool       // true if a real server does not respond to ARP or neighbour discovery
	Probes       []Probe
	Sources      []Source // set by the caller of Observe
	Capabilities uint64   // effective, of this process
	Processes    []supervisor.Running
	Clock        Clock
	Firewall     []FirewallRule
	Daemons      []Process
	Scripts      []Script // of the configuration
	Adverts      []Advert
	Listened     map[string]time.Duration // for adverts, by interface
	Running      *Running                 // nil if the daemon is not running
	Unseen       []Unseen
}

// Modules are the kernel's modules.
type Modules struct {
	Loaded    []string // or built in
	Available []string // for loading
	Listed    bool     // the two lists could be read
}

// Has reports whether the module is in the kernel.
func (m Modules) Has(name string) bool { return slices.Contains(m.Loaded, name) }

// Can reports whether the module can be loaded.
func (m Modules) Can(name string) bool { return slices.Contains(m.Available, name) }

// Probe is the result of running a health check once.
type Probe struct {
	Endpoint netip.AddrPort
	Assumed  bool // no check is configured: a TCP connection was tried
	Kind     string
	OK       bool
	Local    bool // failed for a reason on this host
	Detail   string
}

// Clock is the state of clock synchronization.
type Clock struct {
	Known        bool
	Synchronized bool
}

// FirewallRule is a stateful or NAT rule of a packet filter.
type FirewallRule struct {
	Tool string // nft, iptables, ip6tables
	Rule string
}

// Process is a running program.
type Process struct {
	PID  int
	Name string
}

// Advert is a VRRP advert that was received.
type Advert struct {
	Interface string
	Source    netip.Addr
	Advert    vrrp.Advert
	Envelope  vrrp.Envelope
	Dropped   vrrp.DropReason // for its format, independent of the configuration
}

// Running is the status of the running daemon.
type Running struct {
	States    map[string]vrrp.State     // of VRRP instances, by name
	Conflicts map[string][]api.Conflict // of VRRP instances, by name
	VMACs     map[string]*api.VMAC      // of VRRP instances, by name; nil: none
}

// Unseen is a subject that could not be examined.
type Unseen struct {
	What string
	Err  string
}

func (o *Observed) sysctl(key string) (string, bool) {
	v, ok := o.Sysctls[key]
	return v, ok
}

func (o *Observed) link(name string) (host.Link, bool) {
	return o.Links.Find(name)
}

// networks returns the networks of an interface in a family.
func (o *Observed) networks(iface string, ipv6 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range o.Addresses {
		if a.Interface == iface && a.Prefix.Addr().Is6() == ipv6 && !a.Prefix.IsSingleIP() {
			out = append(out, a.Prefix.Masked())
		}
	}
	return out
}

// effective returns the effective value of arp_ignore, arp_announce or rp_filter on an interface.
func (o *Observed) effective(iface, name string) int {
	return number(sysctl.Effective(o.Sysctls, iface, name))
}

// number parses the first number of a parameter, or returns 0.
func number(value string) int {
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}
