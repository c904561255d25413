package vrrp

import "slices"

// VMAC gives the virtual addresses the MAC address of the virtual router (RFC 9568, 7.3), which moves with them: on an
// interface of their own, a macvlan on the instance's interface.
type VMAC struct {
	Interface string `json:"interface"`           // name of the macvlan
	XmitBase  bool   `json:"xmit_base,omitempty"` // send adverts from the instance's interface and its MAC address
	NoAccept  bool   `json:"no_accept,omitempty"` // this host drops packets to the addresses (RFC 9568, Accept_Mode), unless it is their owner
}

// VMACAlias begins the alias of the macvlans that lvs-ha has created.
const VMACAlias = "lvs-ha: "

// MACAddress returns the MAC address of a virtual router (RFC 9568, 7.3).
func MACAddress(f Family, virtualRouterID uint8) [6]byte {
	mac := [6]byte{0x00, 0x00, 0x5e, 0x00, 0x01, virtualRouterID}
	if f == IPv6 {
		mac[4] = 0x02
	}
	return mac
}

// Drops reports whether this host drops packets to the virtual addresses.
func (in *Instance) Drops() bool {
	return in.VMAC != nil && in.VMAC.NoAccept && in.Priority != PriorityOwner
}

// PlaceOnVMAC puts the addresses that have no interface on the macvlan.
func (in *Instance) PlaceOnVMAC() {
	if in.VMAC == nil {
		return
	}
	in.Addresses = slices.Clone(in.Addresses)
	for i := range in.Addresses {
		if in.Addresses[i].Interface == "" {
			in.Addresses[i].Interface = in.VMAC.Interface
		}
	}
}

func (v *validation) vmac(in *Instance) {
	switch m := in.VMAC; {
	case m == nil:
	case m.Interface == "" || m.Interface == in.Interface:
		v.field("vmac.interface", "must be the name of an interface of its own, which lvs-ha creates")
	case len(in.UnicastPeers) > 0 && !m.XmitBase:
		v.field("vmac.xmit_base", "must be true with unicast_peers: peers send to the MAC address of the instance's interface")
	case !in.onVMAC():
		v.field("vmac", "needs an address without interface: there is none to have the virtual MAC address")
	}
}

// onVMAC reports whether the macvlan has an address.
func (in *Instance) onVMAC() bool {
	for _, a := range in.Addresses {
		if a.Interface == "" || a.Interface == in.VMAC.Interface {
			return true
		}
	}
	return false
}

// VMACStatus is the state of a macvlan.
type VMACStatus struct {
	Interface string `json:"interface"`
	Hardware  string `json:"hardware"`          // its MAC address
	Problem   string `json:"problem,omitempty"` // why it cannot be used, or why the host accepts packets that it should drop
}
