package doctor

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Observed is a director's machine at one moment.
type Observed struct {
	Modules      Modules
	IPVS         bool              // the kernel has it now
	Sysctls      map[string]string // those that a check asks for and the kernel has
	Links        host.Links
	Addresses    []host.Address
	Defaults     []host.Route              // best first
	Routes       map[netip.Addr]host.Route // to each real server that can be reached
	Unreachable  map[netip.Addr]string     // why there is no route to a real server
	Neighbors    map[netip.Addr]bool       // real servers that do not answer ARP or neighbour discovery: true
	Probes       []Probe
	Capabilities uint64 // effective, of this process
	Processes    []supervisor.Running
	Clock        Clock
	Firewall     []FirewallRule
	Daemons      []Process
	Adverts      []Advert
	Listened     map[string]time.Duration // for adverts, by device
	Running      *Running                 // the daemon, if it runs here
	Unseen       []Unseen
}

// Modules are the kernel's modules.
type Modules struct {
	Loaded    []string // and those that are part of the kernel
	Available []string // can be loaded
	Listed    bool     // the two lists could be read
}

// Has reports whether the module is in the kernel.
func (m Modules) Has(name string) bool { return slices.Contains(m.Loaded, name) }

// Can reports whether the module can be loaded.
func (m Modules) Can(name string) bool { return slices.Contains(m.Available, name) }

// Probe is the outcome of one health check, made once.
type Probe struct {
	Endpoint netip.AddrPort
	Assumed  bool // no check is configured: it was connected to
	Kind     string
	OK       bool
	Local    bool // failed for a reason on this machine
	Detail   string
}

// Clock says whether the machine's clock is disciplined.
type Clock struct {
	Known        bool
	Synchronized bool
}

// FirewallRule is a rule of a packet filter that goes by the state of connections or rewrites addresses.
type FirewallRule struct {
	Tool string // nft, iptables, ip6tables
	Rule string
}

// Process is a program that runs on this machine.
type Process struct {
	PID  int
	Name string
}

// Advert is a VRRP advert that was heard.
type Advert struct {
	Interface string
	Source    netip.Addr
	Advert    vrrp.Advert
	Envelope  vrrp.Envelope
	Dropped   vrrp.DropReason // for its form, whatever the configuration
}

// Running is what the daemon on this machine says of itself.
type Running struct {
	States map[string]vrrp.State // of VRRP instances, by name
}

// Unseen is something that could not be looked at.
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

// networks are the networks that a device is in, with the given family.
func (o *Observed) networks(iface string, ipv6 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range o.Addresses {
		if a.Interface == iface && a.Prefix.Addr().Is6() == ipv6 && !a.Prefix.IsSingleIP() {
			out = append(out, a.Prefix.Masked())
		}
	}
	return out
}

// effective is what the kernel goes by for arp_ignore, arp_announce and rp_filter on a device.
func (o *Observed) effective(iface, name string) int {
	return number(sysctl.Effective(o.Sysctls, iface, name))
}

// number reads the first number of a parameter, or 0.
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
