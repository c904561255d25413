package doctor

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/config"
)

// connectionTracking looks for packet filter rules that go by connections, which IPVS by default hides from them.
func connectionTracking(cfg *config.Config, o *Observed) []Finding {
	now, known := o.sysctl("net.ipv4.vs.conntrack")
	if !known || len(cfg.Services) == 0 || len(o.Firewall) == 0 {
		return nil
	}
	if now == "1" {
		return []Finding{ok("conntrack", "packet filters see IPVS's connections")}
	}
	r := o.Firewall[0]
	return []Finding{{Code: "conntrack", Severity: Warning, Subject: r.Tool,
		What: fmt.Sprintf("%d packet filter rules go by connections or rewrite addresses, such as: %s: %s", len(o.Firewall), r.Tool, r.Rule),
		Why:  "IPVS does not keep its connections in that table unless it is told to: such rules take their packets for invalid, or do nothing to them",
		// Not a fix that is safe to make: each packet costs more with it.
		Mend: "sysctl -w net.ipv4.vs.conntrack=1 # if the rules are about balanced traffic"}}
}
