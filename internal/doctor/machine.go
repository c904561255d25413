package doctor

import (
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"golang.org/x/sys/unix"
)

const ipvsModule = "ip_vs"

func kernelIPVS(cfg *config.Config, o *Observed) []Finding {
	alone := len(cfg.VRRP) == 0 && !needsIPVS(cfg) // no configuration: report the host's abilities
	if !needsIPVS(cfg) && !alone {
		return nil
	}
	f := Finding{Code: "ipvs", Severity: Error, Why: "virtual services do not work without it"}
	switch {
	case o.IPVS:
		return []Finding{ok("ipvs", "IPVS is available")}
	case o.Modules.Has(ipvsModule):
		f.What, f.Remedy = "IPVS is not available in this network namespace", "run the director in the host's network namespace"
	case o.Modules.Can(ipvsModule):
		f.Severity, f.What = Info, "module ip_vs is not loaded"
		f.Why = "the kernel loads it when the daemon starts, unless module loading is disabled"
		if alone {
			return []Finding{f}
		}
		return []Finding{f.load(ipvsModule)}
	default:
		f.What = "IPVS is not available: the kernel has no module ip_vs"
		f.Remedy = "install the modules package of this kernel, or boot a kernel with CONFIG_IP_VS"
	}
	if alone {
		f.Severity, f.Why = Warning, "virtual services require it; VRRP alone does not"
	}
	return []Finding{f}
}

// schedulers checks that the module of every scheduler and persistence engine is available.
func schedulers(cfg *config.Config, o *Observed) []Finding {
	if !o.IPVS && !o.Modules.Has(ipvsModule) && !o.Modules.Can(ipvsModule) {
		return nil // no IPVS: reported by kernelIPVS
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
			f = ok("scheduler", "%s is available", n.what)
		case o.Modules.Can(n.module):
			f.Severity, f.What = Info, fmt.Sprintf("module %s (%s) is not loaded", n.module, n.what)
			f.Why = "the kernel loads it when the service is added, unless module loading is disabled"
			f = f.load(n.module)
		case !o.Modules.Listed:
			f.Severity, f.What = Info, fmt.Sprintf("cannot tell whether %s is available: the kernel's modules are not on this file system", n.what)
			f.Remedy = "modprobe " + n.module + " # in a container, run this on the host"
		default:
			f.Severity, f.What = Error, fmt.Sprintf("%s is not available: the kernel has no module %s", n.what, n.module)
			f.Remedy = "install the modules package of this kernel, or configure another one"
		}
		out = append(out, f)
	}
	return out
}

// capabilities checks those of this process; a daemon started in the same way has the same ones.
func capabilities(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, c := range []struct {
		bit      uint
		name     string
		needed   bool
		severity Severity
		why      string
	}{
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", true, Error, "required to change addresses, the IPVS table and kernel parameters"},
		{unix.CAP_NET_RAW, "CAP_NET_RAW", len(cfg.VRRP) > 0, Error, "required to send and receive VRRP and ARP packets"},
		{unix.CAP_SYS_NICE, "CAP_SYS_NICE", len(cfg.VRRP) > 0, Warning, "without it the speaker cannot raise its priority; late adverts on a busy host cause failovers"},
		{unix.CAP_IPC_LOCK, "CAP_IPC_LOCK", len(cfg.VRRP) > 0, Warning, "without it the speaker's memory can be swapped out, which delays adverts"},
	} {
		if !c.needed || o.Capabilities&(1<<c.bit) != 0 {
			continue
		}
		out = append(out, Finding{Code: "capability", Severity: c.severity, Subject: c.name, Why: c.why,
			What: fmt.Sprintf("missing capability %s", c.name), Remedy: "run as root, or add " + c.name + " to AmbientCapabilities= in the systemd unit"})
	}
	if len(out) == 0 {
		out = append(out, ok("capability", "all required capabilities are available"))
	}
	return append(out, privileges(o.Processes)...)
}

// privileges checks the capabilities of the running daemon's processes.
func privileges(processes []supervisor.Running) []Finding {
	var out []Finding
	for _, p := range processes {
		subject := fmt.Sprintf("%s (process %d)", p.Name, p.PID)
		if p.Excess() != 0 || !p.NoNewPrivs {
			out = append(out, Finding{Code: "capability", Severity: Warning, Subject: subject,
				What: fmt.Sprintf("%s has unnecessary privileges or can gain them: %s (no_new_privs %t)", subject, p.Excess(), p.NoNewPrivs),
				Why:  "an attacker who exploits the process gains them too", Remedy: "systemctl restart lvs-ha # earlier versions kept all capabilities"})
			continue
		}
		held := "no capabilities"
		if p.Capabilities != 0 {
			held = p.Capabilities.String()
		}
		out = append(out, ok("capability", "%s has %s and cannot gain more", subject, held))
	}
	return out
}

// otherDaemons checks for programs that do the same work.
func otherDaemons(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, p := range o.Daemons {
		out = append(out, Finding{Code: "other-daemon", Severity: Warning, Subject: p.Name,
			What:   fmt.Sprintf("%s is running (pid %d)", p.Name, p.PID),
			Why:    "both programs would change the same addresses and services",
			Remedy: fmt.Sprintf("systemctl disable --now %s # or kill %d", p.Name, p.PID)})
	}
	return out
}

func clock(_ *config.Config, o *Observed) []Finding {
	switch {
	case !o.Clock.Known:
		return nil
	case o.Clock.Synchronized:
		return []Finding{ok("clock", "the clock is synchronized")}
	}
	return []Finding{{Code: "clock", Severity: Warning, What: "the clock is not synchronized",
		Why:    "certificate checks and auth_hmac depend on it, and so does comparing the logs of two directors",
		Remedy: "apt-get install chrony # or another NTP client"}}
}
