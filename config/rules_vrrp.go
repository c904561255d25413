package config

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// validInstances validates each instance with package vrrp.
func validInstances(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for block := range each(f.VRRP, &diags) {
		in := block.instance()
		for _, e := range in.Validate() {
			at, ok := block.placeOf(e)
			if !ok {
				continue // invalid and already reported
			}
			field, _, _ := strings.Cut(e.Field, ".")
			if field == "addresses" && attributeOf(e) != "" {
				field = attributeOf(e)
			}
			diags = append(diags, problem(at, "Invalid "+field, "%s", fieldSentence(e)))
		}
	}
	return diags
}

// fieldSentence formats a message that may begin with the predicate of its field as a sentence.
func fieldSentence(e vrrp.FieldError) string {
	for _, verb := range []string{"must ", "is ", "has ", "needs "} {
		if strings.HasPrefix(e.Msg, verb) {
			return e.Field + " " + e.Msg + "."
		}
	}
	return sentence(errors.New(e.Msg))
}

// placeOf returns the position of a message of package vrrp; false if that attribute is invalid.
func (b *vrrpBlock) placeOf(e vrrp.FieldError) (hcl.Range, bool) {
	switch e.Field {
	case "name":
		return b.Name.at(), false // rule names reports this in detail
	case "interface":
		return b.Interface.at(), b.Interface.isOK()
	case "virtual_router_id":
		return b.VirtualRouterID.at(), b.VirtualRouterID.isOK()
	case "version":
		return b.Version.at(), b.Version.isOK()
	case "priority":
		return b.Priority.at(), b.Priority.isOK()
	case "advertise_interval":
		return b.AdvertiseInterval.at(), b.AdvertiseInterval.isOK() && b.Version.isOK()
	case "adopt_interval_factor":
		return b.AdoptFactor.at(), b.AdoptFactor.isOK()
	case "preempt":
		return b.Preempt.at(), b.Preempt.isOK() && b.Priority.isOK()
	case "preempt_delay":
		return b.PreemptDelay.at(), b.PreemptDelay.isOK() && b.Preempt.isOK()
	case "startup_delay":
		return b.StartupDelay.at(), b.StartupDelay.isOK()
	case "source_address":
		return b.SourceAddress.at(), b.SourceAddress.isOK() && b.familyIsOK()
	case "multicast_address":
		return b.MulticastAddress.at(), b.MulticastAddress.isOK() && b.UnicastPeers.isOK() && b.familyIsOK()
	case "auth_pass":
		return b.AuthPass.at(), b.AuthPass.isOK() && b.Version.isOK()
	case "auth_hmac.key", "auth_hmac.active_key", "auth_hmac.time_window", "auth_hmac":
		return b.AuthHMAC.placeOf(e)
	case "vmac", "vmac.interface", "vmac.xmit_base":
		return b.VMAC.placeOf(e)
	case "checksum":
		return b.Checksum.at(), b.Checksum.isOK() && b.Version.isOK()
	case "unicast_peers":
		return element(b.UnicastPeers.value, e.Index, b.UnicastPeers.at()), b.UnicastPeers.isOK() && b.familyIsOK()
	case "unicast_min_ttl":
		return b.UnicastMinTTL.at(), b.UnicastMinTTL.isOK() && b.UnicastPeers.isOK()
	case "unicast_max_ttl":
		return b.UnicastMaxTTL.at(), b.UnicastMaxTTL.isOK() && b.UnicastMinTTL.isOK() && b.UnicastPeers.isOK()
	case "addresses":
		return b.prefixes()[e.Index].placeOf(e)
	case "route", "rule":
		return hcl.Range{}, false // rule validRouting reports these
	case "track_interfaces":
		track := b.TrackInterfaces[e.Index]
		return track.Interface.at(), track.Interface.isOK() && track.Weight.isOK()
	}
	return b.At, true
}

// familyIsOK reports whether the virtual addresses that determine the family are valid, or there are none.
func (b *vrrpBlock) familyIsOK() bool {
	return b.Addresses.isOK() && b.Excluded.isOK() && (len(b.prefixes()) > 0 || len(b.AddressBlocks) == 0)
}

func (p prefix) placeOf(e vrrp.FieldError) (hcl.Range, bool) {
	if p.block == nil {
		return p.at, true
	}
	switch attributeOf(e) {
	case "label":
		return p.block.Label.at(), p.block.Label.isOK()
	case "scope":
		return p.block.Scope.at(), p.block.Scope.isOK()
	case "broadcast":
		return p.block.Broadcast.at(), p.block.Broadcast.isOK()
	case "peer":
		return p.block.Peer.at(), p.block.Peer.isOK()
	case "preferred":
		return p.block.Preferred.at(), p.block.Preferred.isOK()
	}
	return p.at, true
}

// attributeOf returns the attribute of an address that a message begins with; "" if it is about the address itself.
func attributeOf(e vrrp.FieldError) string {
	name, _, _ := strings.Cut(e.Msg, " ")
	name = strings.TrimSuffix(name, ":")
	if !slices.Contains([]string{"label", "scope", "broadcast", "peer", "preferred"}, name) {
		return ""
	}
	return name
}

func element[T any](items []item[T], index int, list hcl.Range) hcl.Range {
	if index < 0 || index >= len(items) {
		return list
	}
	return items[index].at
}

// uniqueRouters rejects two virtual routers with the same id on one network: each would drop the other's adverts.
func uniqueRouters(f *file) hcl.Diagnostics {
	type router struct {
		device ifname
		family vrrp.Family
		id     int64
	}
	var diags hcl.Diagnostics
	seen := map[router]*vrrpBlock{}
	for block := range each(f.VRRP, &diags) {
		if !block.Interface.isOK() || !block.VirtualRouterID.isOK() || !block.familyIsOK() {
			continue
		}
		key := router{block.Interface.value, block.family(), block.VirtualRouterID.value}
		if first, duplicate := seen[key]; duplicate {
			diags = append(diags, problem(block.VirtualRouterID.at(), "Duplicate virtual_router_id",
				"The vrrp block %q at %s already uses %d on %s for %s. Give each block its own number, the same on both directors.",
				first.Name.value, where(first.At), key.id, key.device, key.family))
			continue
		}
		seen[key] = block
	}
	return diags
}

// virtualAddresses rejects addresses used by two instances, and addresses that no host can have.
func virtualAddresses(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[netip.Addr]*vrrpBlock{}
	for block := range each(f.VRRP, &diags) {
		in := block.instance()
		for i, p := range block.prefixes() {
			address := in.OnLink(in.Addresses[i])
			if first, duplicate := seen[address]; duplicate && first != block {
				diags = append(diags, problem(p.at, "Duplicate virtual address",
					"The vrrp block %q at %s already has %s. Remove it from one of them.",
					first.Name.value, where(first.At), onInterface(address)))
			}
			seen[address] = block
			if name := networkName(p.value); name != "" {
				diags = append(diags, problem(p.at, "Invalid addresses",
					"%s is the %s address of its network, not a host address.", p.value, name))
			}
		}
	}
	return diags
}

// onInterface writes an address with the interface that is its zone.
func onInterface(a netip.Addr) string {
	if a.Zone() == "" {
		return a.String()
	}
	return a.WithZone("").String() + " on " + a.Zone()
}

// networkName returns "network" or "broadcast" for those addresses of an IPv4 network.
func networkName(p netip.Prefix) string {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return "" // RFC 3021: both addresses of a /31 are hosts
	}
	bits, hosts := maskBits(p.Addr()), ^uint32(0)>>p.Bits()
	switch bits & hosts {
	case 0:
		return "network"
	case hosts:
		return "broadcast"
	}
	return ""
}

// ownAddresses rejects virtual addresses as the source or the peers of adverts: a backup does not have them.
func ownAddresses(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for block := range each(f.VRRP, &diags) {
		in := block.instance()
		own := func(a netip.Addr) netip.Addr { return vrrp.OnLink(a, in.Interface) }
		virtual := map[netip.Addr]bool{}
		for _, a := range in.Addresses {
			virtual[in.OnLink(a)] = true
		}
		owner := block.Priority.value == vrrp.PriorityOwner
		if block.SourceAddress.isSet() && virtual[own(block.SourceAddress.value)] && !owner {
			diags = append(diags, problem(block.SourceAddress.at(), "Invalid source_address",
				"%s is a virtual address of this block, which this node has only while it is master. Write an address that it always has.",
				block.SourceAddress.value))
		}
		for _, peer := range block.UnicastPeers.value {
			if virtual[own(peer.value)] {
				diags = append(diags, problem(peer.at, "Invalid unicast_peers",
					"%s is a virtual address of this block. Write the other director's own address.", peer.value))
			}
		}
	}
	return diags
}

// trackedInterfaces warns about a track without effect.
func trackedInterfaces(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for block := range each(f.VRRP, &diags) {
		for _, track := range block.TrackInterfaces {
			if track.Interface.isOK() && track.Interface.value == block.Interface.value {
				diags = append(diags, warning(track.Interface.at(), "Interface already tracked",
					"%s is the interface of this block, whose link is always tracked. Remove it here.", track.Interface.value))
			}
		}
	}
	return diags
}

// oneConnectionSync rejects a second connection_sync block: a network namespace has one master and one backup daemon.
func oneConnectionSync(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	var first *vrrpBlock
	for block := range each(f.VRRP, &diags) {
		switch {
		case block.ConnectionSync == nil:
		case first == nil:
			first = block
		default:
			diags = append(diags, problem(block.ConnectionSync.At, "Second connection_sync",
				"The kernel has one pair of sync daemons, and it already follows the vrrp block %q at %s. Remove one of them.",
				first.Name.value, where(first.At)))
		}
	}
	return diags
}

// syncMemberships rejects addresses that are not multicast (EINVAL in net/netfilter/ipvs/ip_vs_ctl.c,
// ip_vs_genl_new_daemon).
func syncMemberships(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for block := range each(f.VRRP, &diags) {
		if c := block.ConnectionSync; c != nil && c.Group.isSet() && !c.Group.value.IsMulticast() {
			diags = append(diags, problem(c.Group.at(), "Invalid group",
				"%s is not a multicast address. Write one such as \"224.0.0.81\" or \"ff02::81\".", c.Group.value))
		}
	}
	return diags
}
