package vrrp

import (
	"net/netip"
	"slices"
)

// Check reports whether a parsed advert is valid for the instance whose primary address is self.
func (in *Instance) Check(a *Advert, e Envelope, self netip.Addr) DropReason {
	switch {
	case a.VirtualRouterID != in.VirtualRouterID:
		return DropVRIDUnknown
	case a.Family != in.Family:
		return DropFamily
	case a.Version != in.Version:
		return DropInstanceVersion
	case a.Signed && in.AuthHMAC == nil:
		return DropAuthType
	case e.Source.WithZone("") == self.WithZone(""):
		return DropOwnPacket
	}
	if r := in.checkPath(e); r != NotDropped {
		return r
	}
	if len(a.Addresses) == 0 && len(in.toAdvertise()) > 0 {
		return DropCountZero
	}
	if in.Version == 2 {
		return in.checkV2(a)
	}
	if in.Family == IPv4 && a.Checksum != in.Checksum {
		return DropChecksumMode
	}
	return NotDropped
}

// checkPath checks the packet's source, destination and TTL. A unicast peer may be several hops away; its source address
// is easily forged, but routers can only decrease the TTL (RFC 5082).
func (in *Instance) checkPath(e Envelope) DropReason {
	multicast := len(in.UnicastPeers) == 0
	switch {
	case e.Destination.IsMulticast() != multicast:
		return DropDestination
	case !multicast && !in.isPeer(e.Source):
		return DropNotAPeer
	case multicast && e.Destination.WithZone("") != in.Multicast():
		return DropDestination
	case multicast && e.HopLimit != HopLimit, !multicast && !in.acceptsTTL(e):
		return DropTTL
	}
	return NotDropped
}

// acceptsTTL reports whether the TTL or hop limit of a unicast peer's advert is acceptable. Routers do not forward packets
// from a link-local address (RFC 4291, 2.5.6), so the hop limit of such packets is not checked.
func (in *Instance) acceptsTTL(e Envelope) bool {
	if e.Source.IsLinkLocalUnicast() && e.Source.Is6() {
		return true
	}
	least, most := in.unicastTTL()
	return least <= e.HopLimit && e.HopLimit <= most
}

// unicastTTL returns the accepted TTL range of unicast peers' adverts.
func (in *Instance) unicastTTL() (least, most uint8) {
	least, most = in.UnicastMinTTL, in.UnicastMaxTTL
	if least == 0 {
		least = HopLimit
	}
	if most == 0 {
		most = HopLimit
	}
	return least, most
}

func (in *Instance) isPeer(source netip.Addr) bool {
	source = source.WithZone("")
	return slices.ContainsFunc(in.UnicastPeers, func(p netip.Addr) bool { return p.WithZone("") == source })
}

func (in *Instance) checkV2(a *Advert) DropReason {
	want := AuthNone
	if in.AuthPass != "" {
		want = AuthSimple
	}
	switch {
	case a.AuthType != want:
		return DropAuthType
	case want == AuthSimple && a.AuthData != authData(in.AuthPass.Reveal()):
		return DropAuthFailed
	case a.Interval != in.AdvertiseInterval:
		return DropIntervalMismatch
	}
	return NotDropped
}

// SameAddresses reports whether an advert lists the addresses that the instance would advertise, in any order. An
// advert with other addresses is still valid (RFC 9568, 7.1).
func (in *Instance) SameAddresses(a *Advert) bool {
	own := in.toAdvertise()
	if len(a.Addresses) != min(len(own), in.maxAdvertised()) {
		return false
	}
	if len(own) > in.maxAdvertised() {
		return true
	}
	for _, addr := range own {
		if !slices.Contains(a.Addresses, addr) {
			return false
		}
	}
	return true
}
