package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// forwardingParameters compares the kernel with what the configured forwarding cannot do without.
func forwardingParameters(cfg *config.Config, o *Observed) []Finding {
	nat := cfg.NAT()
	wanted := sysctl.ForNAT(nat.IPv4, nat.IPv6, nat.OneArmed)
	if len(wanted) == 0 {
		return nil
	}
	var out []Finding
	for _, w := range wanted {
		for _, key := range matching(o, w.Key) {
			now, _ := o.sysctl(key)
			if w.Good(now) {
				continue
			}
			code, severity := parameterCode(key)
			if code == "accept-ra" && !o.advertisedDefault(key) {
				continue
			}
			f := Finding{Code: code, Severity: severity, Subject: key, What: fmt.Sprintf("%s is %s, not %s", key, now, w.Value), Why: w.Why}
			if cfg.Sysctl.Manage && o.Running == nil {
				f.Severity, f.Mend = Info, "none needed: the daemon sets it when it starts"
			} else {
				f = f.set(key, w.Value)
			}
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		out = append(out, ok("ip-forward", "kernel parameters are as NAT needs them"))
	}
	return out
}

// matching are the observed parameters that a key stands for, with * for any one part.
func matching(o *Observed, pattern string) []string {
	want := strings.Split(pattern, ".")
	var out []string
	for _, key := range slices.Sorted(maps.Keys(o.Sysctls)) {
		if slices.EqualFunc(want, strings.Split(key, "."), func(w, part string) bool { return w == "*" || w == part }) {
			out = append(out, key)
		}
	}
	return out
}

func parameterCode(key string) (string, Severity) {
	switch {
	case strings.HasSuffix(key, ".accept_ra"):
		return "accept-ra", Warning
	case strings.HasSuffix(key, ".send_redirects"):
		return "send-redirects", Warning
	case strings.HasPrefix(key, "net.ipv6."):
		return "ipv6-forward", Error
	}
	return "ip-forward", Error
}

// advertisedDefault reports whether the device of an accept_ra has a default route from a router's advertisement.
func (o *Observed) advertisedDefault(key string) bool {
	return slices.ContainsFunc(o.Defaults, func(d host.Route) bool {
		return d.IPv6() && d.Advertised && sysctl.Conf("ipv6", d.Interface, "accept_ra") == key
	})
}

// deviceForwarding looks for devices that take no packets to be routed, though the machine as a whole does.
func deviceForwarding(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []string
	for _, s := range byAddress(cfg, ipvs.Masquerade) {
		route, known := o.Routes[s.Address]
		family := "ipv4"
		if s.Address.Is6() {
			family = "ipv6"
		}
		key := sysctl.Conf(family, route.Interface, "forwarding")
		all, _ := o.sysctl(sysctl.Conf(family, "all", "forwarding"))
		now, exists := o.sysctl(key)
		if !known || !exists || all != "1" || now != "0" || slices.Contains(seen, key) {
			continue
		}
		seen = append(seen, key)
		out = append(out, Finding{Code: "device-forward", Severity: Error, Subject: route.Interface,
			What: fmt.Sprintf("%s takes no packets to be routed", route.Interface),
			Why:  "with NAT the real servers' replies come in there and are routed on"}.set(key, "1"))
	}
	return out
}

// reversePath looks for devices where clients come in whose packets the kernel would drop, since the way back to them
// leads through another device.
func reversePath(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	var seen []string
	for _, v := range virtuals(cfg) {
		if v.prefix.Addr().Is6() || slices.Contains(seen, v.iface) || o.effective(v.iface, "rp_filter") != 1 {
			continue
		}
		seen = append(seen, v.iface)
		elsewhere := slices.IndexFunc(o.Defaults, func(d host.Route) bool { return !d.IPv6() && d.Interface != v.iface })
		here := slices.ContainsFunc(o.Defaults, func(d host.Route) bool { return !d.IPv6() && d.Interface == v.iface })
		if elsewhere < 0 || here {
			continue
		}
		out = append(out, Finding{Code: "rp-filter", Severity: Warning, Subject: v.iface,
			What: fmt.Sprintf("%s drops packets of clients beyond its own networks: rp_filter is 1, and the default route leads through %s",
				v.iface, o.Defaults[elsewhere].Interface),
			Why: "clients of the virtual address " + v.prefix.Addr().String() + " come in there"}.set(sysctl.Conf("ipv4", v.iface, "rp_filter"), "2"))
	}
	return out
}
