package config

import (
	"net/netip"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/internal/secret"
	connsync "github.com/lvs-ha/lvs-ha/sync"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// vrrpBlock is a `vrrp` block.
type vrrpBlock struct {
	At                hcl.Range                  `hcl:",def_range"`
	Name              attr[string]               `hcl:"name,label"`
	Interface         attr[ifname]               `hcl:"interface,attr"`
	VirtualRouterID   attr[int64]                `hcl:"virtual_router_id,attr" range:"1..255"`
	Version           attr[int64]                `hcl:"version,optional" default:"3" range:"2..3"`
	Priority          attr[int64]                `hcl:"priority,optional" default:"100" range:"1..255"`
	AdvertiseInterval attr[time.Duration]        `hcl:"advertise_interval,optional" default:"1s" holds:"10ms to 40.95s in steps of 10ms; version 2: 1s to 255s in whole seconds"`
	AdoptFactor       attr[int64]                `hcl:"adopt_interval_factor,optional" default:"3" range:"1..4095"`
	Addresses         attr[[]item[netip.Prefix]] `hcl:"addresses,optional" unset:"none"`
	Excluded          attr[[]item[netip.Prefix]] `hcl:"excluded_addresses,optional" unset:"none"`
	Preempt           attr[bool]                 `hcl:"preempt,optional" default:"true"`
	PreemptDelay      attr[time.Duration]        `hcl:"preempt_delay,optional" default:"0s" range:"0s..1h"`
	StartupDelay      attr[time.Duration]        `hcl:"startup_delay,optional" default:"0s" range:"0s..1h"`
	SourceAddress     attr[netip.Addr]           `hcl:"source_address,optional" unset:"the interface's first"`
	MulticastAddress  attr[netip.Addr]           `hcl:"multicast_address,optional" unset:"224.0.0.18, ff02::12" holds:"a multicast address"`
	UnicastPeers      attr[[]item[netip.Addr]]   `hcl:"unicast_peers,optional" unset:"none: adverts are multicast"`
	UnicastMinTTL     attr[int64]                `hcl:"unicast_min_ttl,optional" default:"255" range:"1..255"`
	UnicastMaxTTL     attr[int64]                `hcl:"unicast_max_ttl,optional" default:"255" range:"1..255"`
	AuthPass          attr[secret.Text]          `hcl:"auth_pass,optional" unset:"none" holds:"at most 8 bytes, with version 2"`
	Checksum          attr[string]               `hcl:"checksum,optional" default:"pseudo-header" oneof:"pseudo-header|without-pseudo"`

	AddressBlocks   []*addressBlock        `hcl:"address,block"`
	Routes          []*routeBlock          `hcl:"route,block"`
	Rules           []*ruleBlock           `hcl:"rule,block"`
	TrackInterfaces []*trackInterfaceBlock `hcl:"track_interface,block"`
	Tracks          []*trackBlock          `hcl:"track,block"`
	Announce        *announceBlock         `hcl:"announce,block"`
	ConnectionSync  *connectionSyncBlock   `hcl:"connection_sync,block"`
	AuthHMAC        *authHMACBlock         `hcl:"auth_hmac,block"`
	Notify          *notifyBlock           `hcl:"notify,block"`
	VMAC            *vmacBlock             `hcl:"vmac,block"`

	all []prefix // see prefixes
}

// addressBlock is an `address` block within a `vrrp` block: a virtual address that needs more than its prefix.
type addressBlock struct {
	At        hcl.Range              `hcl:",def_range"`
	Prefix    attr[netip.Prefix]     `hcl:"address,label"`
	Interface attr[ifname]           `hcl:"interface,optional" unset:"that of the vrrp block"`
	Label     attr[string]           `hcl:"label,optional" unset:"none" holds:"at most 15 bytes, with IPv4"`
	Excluded  attr[bool]             `hcl:"excluded,optional" default:"false"`
	Scope     attr[string]           `hcl:"scope,optional" default:"global" oneof:"global|site|link|host"`
	Broadcast attr[broadcastAddress] `hcl:"broadcast,optional" unset:"auto" holds:"auto, none or an IPv4 address"`
	Peer      attr[netip.Addr]       `hcl:"peer,optional" unset:"none"`

	PrefixRoute attr[bool] `hcl:"prefix_route,optional" default:"true"`
	Preferred   attr[bool] `hcl:"preferred,optional" unset:"true, for an IPv6 host address false" holds:"true, false, with IPv6"`
}

// set sets the attributes of an address.
func (b *addressBlock) set(a *vrrp.Address) {
	a.Interface, a.Label, a.Peer = string(b.Interface.value), b.Label.value, b.Peer.value
	if scope := vrrp.Scope(b.Scope.value); scope != vrrp.ScopeGlobal {
		a.Scope = scope
	}
	a.Broadcast = netip.Addr(b.Broadcast.value)
	a.NoPrefixRoute = !b.PrefixRoute.value
	a.Preferred, a.Deprecated = b.Preferred.isSet() && b.Preferred.value, b.Preferred.isSet() && !b.Preferred.value
}

// trackInterfaceBlock is a `track_interface` block within a `vrrp` block.
type trackInterfaceBlock struct {
	At        hcl.Range    `hcl:",def_range"`
	Interface attr[ifname] `hcl:"interface,label"`
	Weight    attr[int64]  `hcl:"weight,optional" default:"0" range:"-253..253"`
	Reverse   attr[bool]   `hcl:"reverse,optional" default:"false"`
}

// connectionSyncBlock is a `connection_sync` block within a `vrrp` block. The kernel (net/netfilter/ipvs/ip_vs_sync.c,
// start_sync_thread) accepts any maxlen and limits it: for a backup daemon to at least 1,024 bytes, and for both to at
// most 65,535 less the IP and UDP headers.
type connectionSyncBlock struct {
	At        hcl.Range           `hcl:",def_range"`
	Interface attr[ifname]        `hcl:"interface,attr"`
	SyncID    attr[int64]         `hcl:"sync_id,optional" unset:"virtual_router_id" range:"0..255"`
	MaxLen    attr[int64]         `hcl:"maxlen,optional" unset:"what fits the interface's MTU" range:"1024..65487"`
	Group     attr[netip.Addr]    `hcl:"group,optional" unset:"224.0.0.81" holds:"a multicast address"`
	Port      attr[int64]         `hcl:"port,optional" unset:"8848" range:"1..65535"`
	TTL       attr[int64]         `hcl:"ttl,optional" unset:"1" range:"1..255"`
	LearnTime attr[time.Duration] `hcl:"learn_time,optional" default:"10s" range:"0s..1h"`
}

// prefix is a virtual address of an instance and its block, nil if it is in the list.
type prefix struct {
	item[netip.Prefix]
	block    *addressBlock
	excluded bool
}

// prefixes returns the valid virtual addresses: those of the lists, then those of the blocks.
func (b *vrrpBlock) prefixes() []prefix {
	if len(b.all) > 0 {
		return b.all
	}
	for _, one := range b.Addresses.value {
		b.all = append(b.all, prefix{item: one})
	}
	for _, one := range b.Excluded.value {
		b.all = append(b.all, prefix{item: one, excluded: true})
	}
	for _, block := range b.AddressBlocks {
		if block.Prefix.isOK() {
			b.all = append(b.all, prefix{item[netip.Prefix]{block.Prefix.value, block.Prefix.at()}, block, block.Excluded.value})
		}
	}
	return b.all
}

// family returns the family of the first virtual address; without one, of the source address or the first peer.
func (b *vrrpBlock) family() vrrp.Family {
	var first netip.Addr
	switch all := b.prefixes(); {
	case len(all) > 0:
		first = all[0].value.Addr()
	case b.SourceAddress.isSet():
		first = b.SourceAddress.value
	case len(b.UnicastPeers.value) > 0:
		first = b.UnicastPeers.value[0].value
	}
	if first.Is6() {
		return vrrp.IPv6
	}
	return vrrp.IPv4
}

// instance returns the plain values; invalid ones are zero or the default.
func (b *vrrpBlock) instance() vrrp.Instance {
	if b.Announce == nil {
		b.Announce = withDefaults[announceBlock]()
	}
	in := vrrp.Instance{
		Name:              b.Name.value,
		Interface:         string(b.Interface.value),
		VirtualRouterID:   uint8(b.VirtualRouterID.value),
		Version:           uint8(b.Version.value),
		Family:            b.family(),
		Priority:          uint8(b.Priority.value),
		AdvertiseInterval: b.AdvertiseInterval.value,
		AdoptFactor:       int(b.AdoptFactor.value),
		Preempt:           b.Preempt.value,
		PreemptDelay:      b.PreemptDelay.value,
		StartupDelay:      b.StartupDelay.value,
		SourceAddress:     b.SourceAddress.value,
		MulticastAddress:  b.MulticastAddress.value,
		UnicastPeers:      values(b.UnicastPeers.value),
		UnicastMinTTL:     uint8(b.UnicastMinTTL.value),
		UnicastMaxTTL:     uint8(b.UnicastMaxTTL.value),
		AuthPass:          b.AuthPass.value,
		AuthHMAC:          b.AuthHMAC.settings(b.AdvertiseInterval.value),
		Announce: vrrp.Announce{
			Count:       int(b.Announce.Count.value),
			RepeatAfter: b.Announce.RepeatAfter.value,
			Refresh:     b.Announce.Refresh.value,
		},
	}
	if b.Checksum.value == string(vrrp.ChecksumPacketOnly) {
		in.Checksum = vrrp.ChecksumPacketOnly
	}
	for _, p := range b.prefixes() {
		address := vrrp.Address{Prefix: p.value, Excluded: p.excluded}
		if p.block != nil {
			p.block.set(&address)
		}
		in.Addresses = append(in.Addresses, address)
	}
	in.Routing = routing(b.Routes, b.Rules, in.Family)
	in.VMAC = b.VMAC.settings(in.Family, in.VirtualRouterID)
	for _, track := range b.TrackInterfaces {
		in.TrackInterfaces = append(in.TrackInterfaces,
			vrrp.TrackInterface{Interface: string(track.Interface.value), Weight: int(track.Weight.value), Reverse: track.Reverse.value})
	}
	return in
}

func (b *connectionSyncBlock) config(virtualRouterID uint8) *ConnectionSync {
	c := &ConnectionSync{
		Daemon: connsync.Daemon{
			Interface: string(b.Interface.value),
			SyncID:    uint32(virtualRouterID),
			MaxLen:    uint16(b.MaxLen.value),
			Group:     b.Group.value,
			Port:      uint16(b.Port.value),
			TTL:       uint8(b.TTL.value),
		},
		LearnTime: b.LearnTime.value,
	}
	if b.SyncID.isSet() {
		c.SyncID = uint32(b.SyncID.value)
	}
	return c
}

// values returns the values of a list's elements.
func values[T any](items []item[T]) []T {
	var all []T
	for _, one := range items {
		all = append(all, one.value)
	}
	return all
}
