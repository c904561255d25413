package main

import (
	"fmt"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
)

// detail shows one instance in full, with its history, in the terms of FRR's "show vrrp".
func (p *statusPage) detail(v api.Instance) {
	fmt.Fprintf(&p.out, "\n%s on %s, %s, virtual router %d, VRRPv%d\n", plain(v.Name), plain(v.Interface), v.Family, v.VirtualRouterID, v.Version)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&p.out, "  %-22s %s\n", name, plain(fmt.Sprintf(format, args...)))
	}
	line("state", "%s for %s: %s", v.State, ago(v.Since, p.now), v.Reason)
	line("priority", "%d effective, %d configured", v.EffectivePriority, v.Priority)
	if v.VMAC != nil {
		line("virtual MAC address", "%s on %s", v.VMAC.Hardware, v.VMAC.Interface)
	}
	if v.Group != "" {
		line("sync group", "%s", v.Group)
	}
	if v.MasterAddress != "" {
		line("master", "%s, priority %d", v.MasterAddress, v.MasterPriority)
	}
	line("advertise interval", "%s", time.Duration(v.AdvertiseInterval))
	line("skew time", "%s", time.Duration(v.SkewTime).Round(time.Microsecond))
	line("master down interval", "%s", time.Duration(v.MasterDownInterval).Round(time.Microsecond))
	line("became master", "%s", times(v.Transitions))
	line("adverts", "%d sent, %d received, %d not sent", v.AdvertsSent, v.AdvertsReceived, v.SendErrors)
	line("announcements", "%d sent (gratuitous ARP or neighbour advertisements)", v.AnnouncementsSent)
	if total, why := drops(v.Dropped); total != "0" {
		line("dropped", "%s: %s", total, why)
	}
	p.history(v.History)
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// history lists transitions, oldest first, so that the latest is next to the prompt.
func (p *statusPage) history(list []api.Transition) {
	rows := [][]string{{"  TIME", "FROM", "TO", "REASON", "PRIORITY"}}
	for _, t := range list {
		at := "  " + t.Time.In(p.now.Location()).Format("2006-01-02 15:04:05.000")
		if t.Lost > 0 {
			rows = append(rows, []string{at, "?", "?", fmt.Sprintf("%d transitions of any instance lost", t.Lost), ""})
			continue
		}
		rows = append(rows, []string{at, string(t.From), string(t.To), string(t.Reason), fmt.Sprint(t.Priority)})
	}
	p.table(rows)
}
