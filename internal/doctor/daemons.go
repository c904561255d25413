package doctor

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/config"
)

// otherDaemons looks for programs that do the same work.
func otherDaemons(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, p := range o.Daemons {
		out = append(out, Finding{Code: "other-daemon", Severity: Warning, Subject: p.Name,
			What: fmt.Sprintf("%s runs here (pid %d)", p.Name, p.PID),
			Why:  "two programs take the same addresses and services from each other",
			Mend: fmt.Sprintf("systemctl disable --now %s # or kill %d", p.Name, p.PID)})
	}
	return out
}
