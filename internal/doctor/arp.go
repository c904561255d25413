package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// arpFlux looks for network cards in one network: Linux answers ARP for any of its addresses on any of them.
func arpFlux(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []netip.Prefix
	for _, v := range virtuals(cfg) {
		if v.prefix.Addr().Is6() {
			continue
		}
		for _, n := range o.networks(v.iface, false) {
			if slices.Contains(seen, n) {
				continue
			}
			cards := o.cardsIn(n)
			if len(cards) < 2 || !slices.Contains(cards, v.iface) {
				continue
			}
			seen = append(seen, n)
			f := Finding{Code: "arp-flux", Severity: Warning, Subject: n.String(),
				What: fmt.Sprintf("%v are all in %s, and each answers ARP for the addresses of the others", cards, n),
				Why:  "the virtual address is learnt with the hardware address of a card that it is not on, or that is not tracked"}
			for _, c := range cards {
				if o.effective(c, "arp_ignore") == 0 {
					f = f.set(sysctl.Conf("ipv4", c, "arp_ignore"), "1")
				}
				if o.effective(c, "arp_announce") < 2 {
					f = f.set(sysctl.Conf("ipv4", c, "arp_announce"), "2")
				}
			}
			if len(f.Fixes) > 0 {
				out = append(out, f)
			}
		}
	}
	return out
}

// cardsIn are the devices with ARP that are up and have an address in the network.
func (o *Observed) cardsIn(n netip.Prefix) []string {
	var out []string
	for _, a := range o.Addresses {
		link, exists := o.link(a.Interface)
		if exists && link.Running() && link.Neighbors() && a.Prefix.Masked() == n && !slices.Contains(out, a.Interface) {
			out = append(out, a.Interface)
		}
	}
	return out
}

// loopbackAddresses looks for a director that is a real server, or was prepared as one.
func loopbackAddresses(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, a := range o.Addresses {
		link, _ := o.link(a.Interface)
		if link.Neighbors() || !isVirtual(cfg, a.Prefix.Addr()) {
			continue
		}
		backupOnly, known := o.sysctl("net.ipv4.vs.backup_only")
		f := Finding{Code: "backup-only", Severity: Warning, Subject: a.Prefix.Addr().String(),
			What: fmt.Sprintf("%s is on %s here: this director is prepared as a real server, and balances while it is the standby", a.Prefix.Addr(), a.Interface),
			Why:  "packets that the active director forwards here are balanced a second time, and may go round in a circle"}
		switch {
		case known && backupOnly == "0" && synchronizes(cfg):
			out = append(out, f.set("net.ipv4.vs.backup_only", "1"))
		case known && backupOnly != "0" && synchronizes(cfg):
		default:
			f.Mend = fmt.Sprintf("lvs-ha realserver down --vip %s # or a connection_sync block and net.ipv4.vs.backup_only=1", a.Prefix.Addr())
			out = append(out, f)
		}
	}
	for _, s := range byAddress(cfg, ipvs.DirectRoute, ipvs.Tunnel, ipvs.Masquerade) {
		if o.Routes[s.Address].Local {
			out = append(out, Finding{Code: "server-is-local", Severity: Info, Subject: s.Address.String(),
				What: fmt.Sprintf("the real server %s is this machine itself", s.Address),
				Why:  "the standby balances what the active director forwards to it, unless net.ipv4.vs.backup_only is 1"})
		}
	}
	return out
}
