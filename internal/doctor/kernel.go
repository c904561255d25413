package doctor

import (
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
)

const ipvsModule = "ip_vs"

func kernelIPVS(cfg *config.Config, o *Observed) []Finding {
	alone := len(cfg.VRRP) == 0 && !needsIPVS(cfg) // no configuration: what the machine could do
	if !needsIPVS(cfg) && !alone {
		return nil
	}
	f := Finding{Code: "ipvs", Severity: Error, Why: "without it nothing is balanced"}
	switch {
	case o.IPVS:
		return []Finding{ok("ipvs", "the kernel has IPVS")}
	case o.Modules.Has(ipvsModule):
		f.What, f.Mend = "the kernel has IPVS, but not in this network namespace", "run the director where IPVS is"
	case o.Modules.Can(ipvsModule):
		f.Severity, f.What = Info, "the module ip_vs is not loaded"
		f.Why = "the kernel loads it when the daemon asks, where it may load modules"
		if alone {
			return []Finding{f}
		}
		return []Finding{f.load(ipvsModule)}
	default:
		f.What = "this kernel has no IPVS, nor a module of it"
		f.Mend = "boot a kernel with CONFIG_IP_VS, or install the package with this kernel's modules"
	}
	if alone {
		f.Severity, f.Why = Warning, "virtual services need it; VRRP alone does not"
	}
	return []Finding{f}
}

// schedulers looks for the module of every scheduler and persistence engine.
func schedulers(cfg *config.Config, o *Observed) []Finding {
	if !o.IPVS && !o.Modules.Has(ipvsModule) && !o.Modules.Can(ipvsModule) {
		return nil // no IPVS at all: that has been said
	}
	type need struct{ module, what, service string }
	var needs []need
	add := func(n need) {
		if !slices.ContainsFunc(needs, func(m need) bool { return m.module == n.module }) {
			needs = append(needs, n)
		}
	}
	for _, s := range cfg.Services {
		add(need{"ip_vs_" + s.Scheduler, "scheduler " + s.Scheduler, s.Name})
		if s.PersistenceEngine != "" {
			add(need{"ip_vs_pe_" + s.PersistenceEngine, "persistence engine " + s.PersistenceEngine, s.Name})
		}
	}
	var out []Finding
	for _, n := range needs {
		f := Finding{Code: "scheduler", Subject: n.service, Why: "the kernel refuses the service without it"}
		switch {
		case o.Modules.Has(n.module):
			f = ok("scheduler", "the kernel has the %s", n.what)
		case o.Modules.Can(n.module):
			f.Severity, f.What = Info, fmt.Sprintf("the module %s of the %s is not loaded", n.module, n.what)
			f.Why = "the kernel loads it when the service is made, where it may load modules"
			f = f.load(n.module)
		case !o.Modules.Listed:
			f.Severity, f.What = Info, fmt.Sprintf("whether the kernel has the %s cannot be seen: its modules are not on this file system", n.what)
			f.Mend = "modprobe " + n.module + ", on the host if this is a container"
		default:
			f.Severity, f.What = Error, fmt.Sprintf("this kernel has no %s (module %s)", n.what, n.module)
			f.Mend = "name another, or install the package with all of this kernel's modules"
		}
		out = append(out, f)
	}
	return out
}
