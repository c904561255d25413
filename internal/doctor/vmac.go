package doctor

import (
	"fmt"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// virtualMACs checks the interfaces with virtual MAC addresses: those of the running daemon, and before it runs whether their
// names are free.
func virtualMACs(cfg *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, v := range cfg.VRRP {
		if v.VMAC == nil {
			continue
		}
		name := v.VMAC.Interface
		if o.Running != nil && o.Running.VMACs[v.Name] != nil {
			if problem := o.Running.VMACs[v.Name].Problem; problem != "" {
				out = append(out, Finding{Code: "vmac", Severity: Error, Subject: name,
					What: fmt.Sprintf("vrrp %q: %s", v.Name, problem), Why: "the virtual MAC address is not used as configured",
					Remedy: "remove the cause; lvs-ha retries"})
			}
			continue
		}
		if link, exists := o.link(name); exists && !strings.HasPrefix(link.Alias, vrrp.VMACAlias) {
			out = append(out, Finding{Code: "vmac", Severity: Error, Subject: name,
				What:   fmt.Sprintf("%s exists and does not belong to lvs-ha (vrrp %q, vmac)", name, v.Name),
				Why:    "the instance stays in INITIALIZE",
				Remedy: fmt.Sprintf("ip link delete %s # or set vmac.interface to another name", name)})
		}
	}
	return out
}
