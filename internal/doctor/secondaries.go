package doctor

import (
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// secondaries looks whether an address that leaves a device takes others along. The first address of a network on a device
// is its primary one; when it goes, the kernel deletes the others of that network, unless it may promote one of them
// (__inet_del_ifa, net/ipv4/devinet.c).
func secondaries(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []string
	for _, v := range virtuals(cfg) {
		all, _ := o.sysctl(sysctl.Conf("ipv4", "all", "promote_secondaries"))
		key := sysctl.Conf("ipv4", v.iface, "promote_secondaries")
		own, known := o.sysctl(key)
		if !known || own == "1" || all == "1" || slices.Contains(seen, v.iface) || !o.sharesNetwork(cfg, v) {
			continue
		}
		seen = append(seen, v.iface)
		out = append(out, Finding{Code: "secondary-address", Severity: Warning, Subject: v.iface,
			What: fmt.Sprintf("%s is %s, and %s has other addresses in the network of %s", key, own, v.iface, v.prefix),
			Why: "when the first address of a network goes, the kernel deletes the others with it: at a failover this machine's own address " +
				"(if that came later, as after a restart of the network), or another instance's"}.set(key, "1"))
	}
	return out
}

// sharesNetwork reports whether a virtual address has company in its network on its device: an address of the machine's
// own, or one of another instance. IPv6 knows no secondary addresses.
func (o *Observed) sharesNetwork(cfg *config.Config, v virtual) bool {
	if v.prefix.Addr().Is6() || v.prefix.IsSingleIP() {
		return false
	}
	own := slices.ContainsFunc(o.Addresses, func(a host.Address) bool {
		return a.Interface == v.iface && a.Prefix.Masked() == v.prefix.Masked() && !isVirtual(cfg, a.Prefix.Addr())
	})
	return own || slices.ContainsFunc(virtuals(cfg), func(w virtual) bool {
		return w.instance != v.instance && w.iface == v.iface && w.prefix.Masked() == v.prefix.Masked()
	})
}
