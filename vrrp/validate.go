package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
)

// FieldError is an invalid field of an Instance.
type FieldError struct {
	Field string // its JSON name, which is also its name in configuration files
	Index int    // element of a list field, or -1 if the error concerns the whole field
	Msg   string // the problem and the fix
}

func (e FieldError) Error() string {
	if e.Index >= 0 {
		return fmt.Sprintf("%s[%d]: %s", e.Field, e.Index, e.Msg)
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Msg)
}

// Limits of the kernel and of keepalived.
const (
	maxLabel       = 15 // bytes, IFNAMSIZ - 1
	maxTrackWeight = 253
)

// Validate returns all errors of the instance that can be detected without the rest of the configuration.
func (in *Instance) Validate() []FieldError {
	var v validation
	v.identity(in)
	v.timing(in)
	v.addresses(in)
	v.transport(in)
	v.authentication(in)
	v.tracks(in)
	v.routing(in)
	v.vmac(in)
	return v.errs
}

type validation struct{ errs []FieldError }

func (v *validation) field(field, format string, args ...any) { v.element(field, -1, format, args...) }

func (v *validation) element(field string, index int, format string, args ...any) {
	v.errs = append(v.errs, FieldError{Field: field, Index: index, Msg: fmt.Sprintf(format, args...)})
}

func (v *validation) identity(in *Instance) {
	if in.Name == "" {
		v.field("name", "an instance needs a name")
	}
	if in.Interface == "" {
		v.field("interface", "an instance needs an interface")
	}
	if in.VirtualRouterID == 0 {
		v.field("virtual_router_id", "must be 1 to 255")
	}
	if in.Family != IPv4 && in.Family != IPv6 {
		v.field("family", "must be 4 or 6")
	}
	switch {
	case in.Version != 2 && in.Version != 3:
		v.field("version", "must be 2 or 3")
	case in.Version == 2 && in.Family == IPv6:
		v.field("version", "version 2 is for IPv4 only: IPv6 needs version 3")
	}
}

func (v *validation) timing(in *Instance) {
	if in.Priority == 0 {
		v.field("priority", "must be 1 to 254, or 255 for the owner of the addresses; 0 is reserved for a master that gives up")
	}
	if in.Version == 2 || in.Version == 3 {
		if msg := intervalProblem(in.Version, in.AdvertiseInterval); msg != "" {
			v.field("advertise_interval", "%s is not possible: %s", in.AdvertiseInterval, msg)
		}
	}
	if in.AdoptFactor < 0 || in.AdoptFactor > AdoptFactorMax {
		v.field("adopt_interval_factor", "must be 1 to %d", AdoptFactorMax)
	}
	switch {
	case in.PreemptDelay < 0:
		v.field("preempt_delay", "must not be negative")
	case in.PreemptDelay > 0 && !in.Preempt:
		v.field("preempt_delay", "has no effect with preempt = false: remove one of them")
	}
	if in.StartupDelay < 0 {
		v.field("startup_delay", "must not be negative")
	}
	if in.Priority == PriorityOwner && !in.Preempt {
		v.field("preempt", "an owner (priority 255) always preempts: use a priority up to 254, or remove preempt")
	}
	if in.Announce.Count < 1 {
		v.field("announce.count", "must be at least 1")
	}
	if in.Announce.RepeatAfter < 0 {
		v.field("announce.repeat_after", "must not be negative")
	}
	if in.Announce.Refresh < 0 {
		v.field("announce.refresh", "must not be negative")
	}
}

func (v *validation) addresses(in *Instance) {
	seen := make(map[netip.Addr]bool, len(in.Addresses))
	advertised := make(map[netip.Addr]bool, len(in.Addresses)) // adverts have no interfaces
	for i, a := range in.Addresses {
		v.address(in.Family, i, &a)
		addr, at := a.Prefix.Addr(), in.OnLink(a)
		if a.Prefix.IsValid() && (seen[at] || !a.Excluded && advertised[addr]) {
			v.element("addresses", i, "%s is listed twice", addr)
		}
		seen[at], advertised[addr] = true, advertised[addr] || !a.Excluded
	}
}

// Validate returns the errors of an address of any family.
func (a *Address) Validate() []FieldError {
	var v validation
	f := IPv4
	if a.Prefix.Addr().Is6() {
		f = IPv6
	}
	v.address(f, 0, a)
	return v.errs
}

func (v *validation) address(f Family, i int, a *Address) {
	addr := a.Prefix.Addr()
	switch {
	case !a.Prefix.IsValid():
		v.element("addresses", i, "is not an address with a prefix length, as in 192.0.2.1/24")
	case !f.has(addr):
		v.element("addresses", i, "%s is not an %s address: each family needs its own instance", addr, f)
	case addr.IsMulticast() || addr.IsUnspecified() || addr.IsLoopback() || addr.Is4In6():
		v.element("addresses", i, "%s cannot be the address of a host", addr)
	}
	v.attributes(f, i, a)
}

// attributes checks what an address has besides its prefix. Each message begins with the attribute's name.
func (v *validation) attributes(f Family, i int, a *Address) {
	switch {
	case a.Label == "":
	case f == IPv6:
		v.element("addresses", i, "label: only IPv4 addresses have labels")
	case len(a.Label) > maxLabel:
		v.element("addresses", i, "label %q is longer than %d bytes", a.Label, maxLabel)
	}
	switch {
	case a.Scope == "" || a.Scope == ScopeGlobal:
	case f == IPv6:
		v.element("addresses", i, "scope: the kernel derives the scope of an IPv6 address from the address")
	case !slices.Contains([]Scope{ScopeSite, ScopeLink, ScopeHost}, a.Scope):
		v.element("addresses", i, "scope %q is not global, site, link or host", a.Scope)
	}
	if a.Broadcast.IsValid() && (f == IPv6 || !a.Broadcast.Is4()) {
		v.element("addresses", i, "broadcast: only IPv4 has broadcast addresses")
	}
	if p := a.Peer; p.IsValid() && (!f.has(p) || p.IsMulticast() || p.IsUnspecified() || p == a.Prefix.Addr()) {
		v.element("addresses", i, "peer: %s is not another %s host", p, f)
	}
	if f == IPv4 && (a.Preferred || a.Deprecated) {
		v.element("addresses", i, "preferred: IPv4 ignores it")
	}
}

func (v *validation) transport(in *Instance) {
	if in.SourceAddress.IsValid() && (!in.Family.has(in.SourceAddress) || in.SourceAddress.IsMulticast()) {
		v.field("source_address", "%s is not an %s address that packets can be sent from", in.SourceAddress, in.Family)
	}
	if in.UnicastMinTTL != 0 && in.UnicastMinTTL != HopLimit && len(in.UnicastPeers) == 0 {
		v.field("unicast_min_ttl", "has no effect without unicast_peers: multicast adverts always have a TTL of %d", HopLimit)
	}
	switch least, most := in.unicastTTL(); {
	case most == HopLimit:
	case len(in.UnicastPeers) == 0:
		v.field("unicast_max_ttl", "has no effect without unicast_peers: multicast adverts always have a TTL of %d", HopLimit)
	case least > most:
		v.field("unicast_max_ttl", "must not be less than unicast_min_ttl, which is %d", least)
	}
	switch group := in.MulticastAddress; {
	case !group.IsValid():
	case !in.Family.has(group) || !group.IsMulticast():
		v.field("multicast_address", "%s is not an %s multicast address", group, in.Family)
	case in.Family == IPv6 && !group.IsLinkLocalMulticast():
		v.field("multicast_address", "%s is not link-local: IPv6 needs an address that begins with ff02", group)
	case len(in.UnicastPeers) > 0:
		v.field("multicast_address", "has no effect with unicast_peers: remove one of them")
	}
	seen := make(map[netip.Addr]bool, len(in.UnicastPeers))
	for i, p := range in.UnicastPeers {
		switch {
		case !in.Family.has(p) || p.IsMulticast() || p.IsUnspecified():
			v.element("unicast_peers", i, "%s is not an %s unicast address", p, in.Family)
		case p == in.SourceAddress:
			v.element("unicast_peers", i, "%s is this node's own source_address", p)
		case seen[p]:
			v.element("unicast_peers", i, "%s is listed twice", p)
		}
		seen[p] = true
	}
	switch {
	case in.AuthPass == "":
	case in.Version != 2:
		v.field("auth_pass", "applies to version 2 only: with version 3 use auth_hmac")
	case len(in.AuthPass) > authDataLen:
		v.field("auth_pass", "must be at most %d bytes; keepalived truncates longer ones", authDataLen)
	}
	switch {
	case in.Checksum == ChecksumPseudoHeader:
	case in.Checksum != ChecksumPacketOnly:
		v.field("checksum", "%q is unknown: write %q or remove it", in.Checksum, ChecksumPacketOnly)
	case in.Version != 3 || in.Family != IPv4:
		v.field("checksum", "applies to version 3 over IPv4 only")
	}
}

func (v *validation) tracks(in *Instance) {
	seen := make(map[string]bool, len(in.TrackInterfaces))
	for i, t := range in.TrackInterfaces {
		switch {
		case t.Interface == "":
			v.element("track_interfaces", i, "must name an interface")
		case seen[t.Interface]:
			v.element("track_interfaces", i, "%s is tracked twice", t.Interface)
		case t.Weight < -maxTrackWeight || t.Weight > maxTrackWeight:
			v.element("track_interfaces", i, "weight %d is out of range: -%d to %d", t.Weight, maxTrackWeight, maxTrackWeight)
		}
		seen[t.Interface] = true
	}
}
