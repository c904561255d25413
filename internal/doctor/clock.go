package doctor

import "github.com/lvs-ha/lvs-ha/config"

func clock(_ *config.Config, o *Observed) []Finding {
	switch {
	case !o.Clock.Known:
		return nil
	case o.Clock.Synchronized:
		return []Finding{ok("clock", "the clock is synchronized")}
	}
	return []Finding{{Code: "clock", Severity: Warning, What: "nothing keeps the clock right",
		Why:  "certificates are judged by it, and the logs of two directors can only be compared if both are right",
		Mend: "apt-get install chrony # or another NTP client"}}
}
