package realserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Mode is the director's forwarding method.
type Mode string

// The modes.
const (
	DR  Mode = "dr"  // direct routing, "gatewaying"
	TUN Mode = "tun" // tunnelling
	NAT Mode = "nat" // masquerading
)

// TunnelType is a tunnel's encapsulation.
type TunnelType string

// The tunnel types.
const (
	IPIP TunnelType = "ipip"
	GRE  TunnelType = "gre"
	GUE  TunnelType = "gue"
)

// VIP is a virtual address that a real server serves.
type VIP struct {
	Address   netip.Addr `json:"address"`
	Mode      Mode       `json:"mode"`
	Interface string     `json:"interface,omitempty"` // with DR; "" is lo
	Tunnel    *Tunnel    `json:"tunnel,omitempty"`    // with TUN
}

// Tunnel is the encapsulation between director and real server.
type Tunnel struct {
	Type   TunnelType `json:"type"`
	Outer4 bool       `json:"outer_ipv4"`     // the outer packets are IPv4, regardless of the virtual address
	Port   uint16     `json:"port,omitempty"` // of GUE
}

// Wanted is the setup of a real server.
type Wanted struct {
	VIPs      []VIP        `json:"vips"`
	Directors []netip.Addr `json:"directors,omitempty"` // for NAT: any of them is a correct gateway; empty: unknown
	Listeners []Listener   `json:"listeners,omitempty"` // sockets that must exist; empty: unknown
}

// Listener is a socket that the real server needs.
type Listener struct {
	Network string         `json:"network"` // tcp or udp
	Address netip.AddrPort `json:"address"`
}

// DefaultGUEPort is IANA's port for GUE.
const DefaultGUEPort = 6080

// ParseVIP parses a virtual address, with or without a host mask.
func ParseVIP(s string) (netip.Addr, error) {
	bare, bits, masked := strings.Cut(s, "/")
	a, err := netip.ParseAddr(bare)
	if err != nil {
		if ap, e := netip.ParseAddrPort(s); e == nil {
			return a, fmt.Errorf("virtual address %q: want an address without a port: %s", s, ap.Addr())
		}
		return a, fmt.Errorf("virtual address %q: want an IPv4 or IPv6 address such as 192.0.2.10", s)
	}
	if masked && bits != fmt.Sprint(a.BitLen()) {
		return a, fmt.Errorf("virtual address %q: it must be a host address on a real server: write %s", s, a)
	}
	if err := checkVIP(a); err != nil {
		return a, fmt.Errorf("virtual address %q: %w", s, err)
	}
	return a, nil
}

func checkVIP(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("no address")
	case a.Zone() != "":
		return errors.New("an address with a zone cannot be a virtual address")
	case a.Is4In6():
		return fmt.Errorf("an IPv4-mapped IPv6 address: write %s", a.Unmap())
	case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return errors.New("not a host address")
	case a.IsLinkLocalUnicast() && a.Is6():
		return errors.New("a link-local address cannot be a virtual address")
	}
	return nil
}

// Validate returns all errors.
func (w Wanted) Validate() error {
	var errs []error
	if len(w.VIPs) == 0 {
		errs = append(errs, errors.New("no virtual address: use --vip ADDRESS or -c FILE"))
	}
	modes := map[netip.Addr]Mode{}
	for _, v := range w.VIPs {
		if err := checkVIP(v.Address); err != nil {
			errs = append(errs, fmt.Errorf("virtual address %s: %w", v.Address, err))
		}
		if other, twice := modes[v.Address]; twice && (other == NAT) != (v.Mode == NAT) {
			errs = append(errs, fmt.Errorf("virtual address %s: requested for nat and for %s: "+
				"with nat, a real server that has the address would answer instead of the director", v.Address, either(other, v.Mode)))
		}
		modes[v.Address] = v.Mode
		if _, err := v.device(); err != nil {
			errs = append(errs, fmt.Errorf("virtual address %s: %w", v.Address, err))
		}
	}
	return errors.Join(errs...)
}

// equal reports whether two VIPs are the same address with the same setup.
func (v VIP) equal(u VIP) bool {
	d, _ := v.device()
	e, _ := u.device()
	return v.Address == u.Address && v.Mode == u.Mode && d == e
}

// without returns the setup without some addresses. With NAT, listeners stay: they are at the real server's own address.
func (w Wanted) without(vips []netip.Addr) Wanted {
	w.VIPs = slices.DeleteFunc(slices.Clone(w.VIPs), func(v VIP) bool { return slices.Contains(vips, v.Address) })
	w.Listeners = slices.DeleteFunc(slices.Clone(w.Listeners), func(l Listener) bool { return slices.Contains(vips, l.Address.Addr()) })
	return w
}

func either(a, b Mode) Mode {
	if a != NAT {
		return a
	}
	return b
}

// HostPrefix returns the address with a host mask.
func HostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// Addresses are the virtual addresses.
func (w Wanted) Addresses() []netip.Addr {
	var out []netip.Addr
	for _, v := range w.VIPs {
		out = append(out, v.Address)
	}
	return out
}
