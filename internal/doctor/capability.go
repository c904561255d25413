package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

// capabilities looks at this process's own: the daemon started in the same way has the same.
func capabilities(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, c := range []struct {
		bit      uint
		name     string
		needed   bool
		severity Severity
		why      string
	}{
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", true, Error, "addresses, the IPVS table and kernel parameters cannot be changed"},
		{unix.CAP_NET_RAW, "CAP_NET_RAW", len(cfg.VRRP) > 0, Error, "VRRP's and ARP's packets can be neither sent nor received"},
		{unix.CAP_SYS_NICE, "CAP_SYS_NICE", len(cfg.VRRP) > 0, Warning, "the speaker cannot raise its priority: adverts are late on a busy machine, and late adverts are failovers"},
		{unix.CAP_IPC_LOCK, "CAP_IPC_LOCK", len(cfg.VRRP) > 0, Warning, "the speaker's memory can be paged out, and adverts are late"},
	} {
		if !c.needed || o.Capabilities&(1<<c.bit) != 0 {
			continue
		}
		out = append(out, Finding{Code: "capability", Severity: c.severity, Subject: c.name, Why: c.why,
			What: fmt.Sprintf("%s is missing here", c.name), Mend: "run it as root, or add " + c.name + " to AmbientCapabilities= of the unit"})
	}
	if len(out) == 0 {
		out = append(out, ok("capability", "this process has the capabilities that the daemon needs"))
	}
	return append(out, privileges(o.Processes)...)
}

// privileges looks at what the processes of the running daemon have kept.
func privileges(processes []supervisor.Running) []Finding {
	var out []Finding
	for _, p := range processes {
		subject := fmt.Sprintf("%s (process %d)", p.Name, p.PID)
		if p.Excess() != 0 || !p.NoNewPrivs {
			out = append(out, Finding{Code: "capability", Severity: Warning, Subject: subject,
				What: fmt.Sprintf("%s has or could gain rights that it does not need: %s (no_new_privs %t)", subject, p.Excess(), p.NoNewPrivs),
				Why:  "a fault in it would give them away", Mend: "restart lvs-ha with `systemctl restart lvs-ha`: an earlier version kept all capabilities"})
			continue
		}
		held := "no capabilities"
		if p.Capabilities != 0 {
			held = p.Capabilities.String()
		}
		out = append(out, ok("capability", "%s has %s and can gain no more", subject, held))
	}
	return out
}
