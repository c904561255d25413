package ipvsadm

import (
	"bufio"
	"fmt"
	"io"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// WriteRules writes services as rules for -R: the format of -S -n, plus what -S omits or writes in a form that -R rejects:
// thresholds, a third scheduler flag, and firewall marks over 2147483647.
func WriteRules(w io.Writer, services []ipvs.Entry) error {
	out := bufio.NewWriter(w)
	p := printer{numeric: true}
	for _, s := range services {
		at := p.serviceOption(s.ServiceKey)
		if s.Mark != 0 {
			at = fmt.Sprintf("-f %d", s.Mark)
			if s.Family == ipvs.IPv6 {
				at += " -6"
			}
		}
		fmt.Fprintf(out, "-A %s%s\n", at, allOptionsText(s.Service))
		for _, d := range s.Destinations {
			b := appendServerOptions(p.endpoint(nil, d.Address, d.Port, s.Protocol), d)
			fmt.Fprintf(out, "-a %s -r %s%s\n", at, b, thresholdsText(d))
		}
	}
	return out.Flush()
}

// allOptionsText is serviceOptionsText with all scheduler flags.
func allOptionsText(s ipvs.Service) string {
	const schedulers = ipvs.FlagSched1 | ipvs.FlagSched2 | ipvs.FlagSched3
	flags := ipvs.FormatFlags(s.Scheduler, s.Flags&schedulers)
	s.Flags &^= schedulers
	if flags == "" {
		return serviceOptionsText(s)
	}
	return serviceOptionsText(s) + " -b " + flags
}

func thresholdsText(d ipvs.Destination) string {
	text := ""
	if d.UpperThreshold != 0 {
		text += fmt.Sprintf(" -x %d", d.UpperThreshold)
	}
	if d.LowerThreshold != 0 {
		text += fmt.Sprintf(" -y %d", d.LowerThreshold)
	}
	return text
}
