package vrrp

import (
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/secret"
)

// Protocol limits.
const (
	PriorityResign  = 0   // in an advert: the master is leaving (RFC 9568, 5.2.4)
	PriorityDefault = 100 // RFC 9568, 5.2.4
	PriorityOwner   = 255 // the router owns the virtual addresses

	MinAdvertiseInterval   = 10 * time.Millisecond     // one centisecond, version 3
	MaxAdvertiseInterval   = 40_950 * time.Millisecond // 12 bits of centiseconds, version 3
	MinAdvertiseIntervalV2 = time.Second
	MaxAdvertiseIntervalV2 = 255 * time.Second
)

// A version 3 backup adopts its master's interval up to AdoptFactor times its own. Since it waits for three adverts, the
// default allows a master's interval to grow almost tenfold before its backups are reloaded.
const (
	AdoptFactorDefault = 3
	AdoptFactorMax     = int(MaxAdvertiseInterval / MinAdvertiseInterval)
)

// Family is an address family of virtual addresses; an instance has one.
type Family uint8

// The address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

func (f Family) String() string {
	if f == IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// Address is a virtual address with its prefix length on the interface.
type Address struct {
	Prefix    netip.Prefix `json:"prefix"`
	Interface string       `json:"interface,omitempty"` // empty: the instance's
	Label     string       `json:"label,omitempty"`     // IPv4 only, "eth0:vip", at most 15 bytes
	Excluded  bool         `json:"excluded,omitempty"`  // not in adverts
	Scope     Scope        `json:"scope,omitempty"`     // IPv4 only; empty: global
	Broadcast netip.Addr   `json:"broadcast,omitzero"`  // IPv4 only; unset: the network's, 0.0.0.0: none
	Peer      netip.Addr   `json:"peer,omitzero"`       // other end of a point-to-point link

	NoPrefixRoute bool `json:"no_prefix_route,omitempty"` // no route to the address's network
	Preferred     bool `json:"preferred,omitempty"`       // an IPv6 host address that the kernel may choose as a source
	Deprecated    bool `json:"deprecated,omitempty"`      // an IPv6 address that the kernel does not choose as a source
}

// OnLink returns an address of an interface as it is compared with others: a link-local address of IPv6 has the interface as its zone,
// because another interface may have the same one (RFC 4007, 4).
func OnLink(a netip.Addr, iface string) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(iface)
	}
	return a
}

// OnLink returns a virtual address as it is compared with others. One on the macvlan is on the link of the instance's interface.
func (in *Instance) OnLink(a Address) netip.Addr {
	iface := a.Interface
	if iface == "" || in.VMAC != nil && iface == in.VMAC.Interface {
		iface = in.Interface
	}
	return OnLink(a.Prefix.Addr(), iface)
}

// Scope is the area in which an IPv4 address or a route is valid.
type Scope string

// The scopes, with their names in iproute2.
const (
	ScopeGlobal Scope = "global"
	ScopeSite   Scope = "site"
	ScopeLink   Scope = "link"
	ScopeHost   Scope = "host"
)

// TrackInterface makes an instance depend on the link of another interface.
type TrackInterface struct {
	Interface string `json:"interface"`
	Weight    int    `json:"weight"` // -253..253: see Weigh
	Reverse   bool   `json:"reverse,omitempty"`
}

// Announce configures gratuitous ARP and unsolicited neighbour advertisements.
type Announce struct {
	Count       int           `json:"count"`        // rounds in a burst, at least 1
	RepeatAfter time.Duration `json:"repeat_after"` // delay of the second burst after becoming master; 0: none
	Refresh     time.Duration `json:"refresh"`      // interval of further bursts while master; 0: never
}

// AnnounceLimit is the minimum time between two announcement packets on some interfaces, which share it.
type AnnounceLimit struct {
	Interfaces  []string      `json:"interfaces,omitempty"`   // none: it applies to each other interface on its own
	ARPInterval time.Duration `json:"arp_interval,omitempty"` // of gratuitous ARP packets; 0: no limit
	NAInterval  time.Duration `json:"na_interval,omitempty"`  // of unsolicited neighbour advertisements; 0: no limit
}

// Instance is the configuration of one virtual router: plain values, validated by package config.
type Instance struct {
	Name              string           `json:"name"`
	Interface         string           `json:"interface"`
	VirtualRouterID   uint8            `json:"virtual_router_id"`
	Version           uint8            `json:"version"` // 2 or 3
	Family            Family           `json:"family"`
	Priority          uint8            `json:"priority"`           // 1..255
	AdvertiseInterval time.Duration    `json:"advertise_interval"` // v3: whole centiseconds, v2: whole seconds
	Addresses         []Address        `json:"addresses"`          // may be empty if another program moves the addresses
	Preempt           bool             `json:"preempt"`
	PreemptDelay      time.Duration    `json:"preempt_delay"`
	StartupDelay      time.Duration    `json:"startup_delay,omitempty"`         // time after start before it may become master, unless it continues as master
	SourceAddress     netip.Addr       `json:"source_address,omitzero"`         // of adverts; unset: the interface's first
	MulticastAddress  netip.Addr       `json:"multicast_address,omitzero"`      // destination of adverts; unset: MulticastAddress of the family
	UnicastPeers      []netip.Addr     `json:"unicast_peers,omitempty"`         // none: multicast
	UnicastMinTTL     uint8            `json:"unicast_min_ttl,omitempty"`       // 0: HopLimit
	UnicastMaxTTL     uint8            `json:"unicast_max_ttl,omitempty"`       // 0: HopLimit
	AdoptFactor       int              `json:"adopt_interval_factor,omitempty"` // 0: AdoptFactorDefault
	AuthPass          secret.Text      `json:"auth_pass,omitempty"`             // v2 only, at most 8 bytes
	AuthHMAC          *AuthHMAC        `json:"auth_hmac,omitempty"`             // nil: none
	Checksum          ChecksumMode     `json:"checksum,omitempty"`
	Routing                            // set while it has the addresses
	TrackInterfaces   []TrackInterface `json:"track_interfaces,omitempty"`
	Announce          Announce         `json:"announce"`
	VMAC              *VMAC            `json:"vmac,omitempty"` // nil: the addresses have the interface's MAC address
}

// ChecksumMode selects what a version 3 IPv4 checksum covers.
type ChecksumMode string

// The checksum modes.
const (
	ChecksumPseudoHeader ChecksumMode = ""               // with the IPv4 pseudo-header: keepalived's and FRR's default
	ChecksumPacketOnly   ChecksumMode = "without-pseudo" // RFC 9568 as interpreted by Cisco and Juniper
)
