package migrate

import (
	"net/netip"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// noNames resolves one host and one port, without a resolver.
type noNames struct{}

func (noNames) Address(host string) (netip.Addr, bool) {
	return netip.AddrFrom4([4]byte{10, 0, 0, 7}), host == "web.example"
}

func (noNames) Host(netip.Addr) string { return "" }

func (noNames) Port(name string, _ ipvs.Protocol) (uint16, bool) { return 80, name == "http" }

func (noNames) Service(uint16, ipvs.Protocol) string { return "" }
