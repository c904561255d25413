package doctor

import (
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
)

// synchronization looks at the parameters of the connection-sync daemons.
func synchronization(cfg *config.Config, o *Observed) []Finding {
	if !synchronizes(cfg) {
		return nil
	}
	var out []Finding
	const version = "net.ipv4.vs.sync_version"
	v, known := o.sysctl(version)
	if !known {
		return nil // no IPVS: that has been said
	}
	if v == "0" {
		out = append(out, Finding{Code: "sync-version", Severity: Warning, What: version + " is 0",
			Why: "the old messages carry no IPv6, no firewall marks and no timeouts, and both directors must use the same"}.set(version, "1"))
	}
	if v, known := o.sysctl("net.ipv4.vs.sync_threshold"); known && number(v) > 1 {
		out = append(out, advice("sync-threshold", fmt.Sprintf("net.ipv4.vs.sync_threshold is %s", v),
			fmt.Sprintf("a connection is told to the standby after %d packets: one that is younger does not survive a failover", number(v)),
			`sysctl -w net.ipv4.vs.sync_threshold='1 50' # tells earlier, at the cost of more messages`))
	}
	if v, known := o.sysctl("net.ipv4.vs.sync_refresh_period"); known && v == "0" {
		out = append(out, advice("sync-refresh", "net.ipv4.vs.sync_refresh_period is 0",
			"a connection is told again after so many packets as sync_threshold's second number says; one that sends few may end on the standby meanwhile",
			"sysctl -w net.ipv4.vs.sync_refresh_period=10 # tells again when its timer has moved by 10 s"))
	}
	if v, known := o.sysctl("net.ipv4.vs.sync_ports"); known && v != "1" {
		out = append(out, advice("sync-ports", fmt.Sprintf("net.ipv4.vs.sync_ports is %s", v), "it must be the same on the other director", ""))
	}
	hashed := slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool {
		return slices.Contains([]string{"sh", "dh", "mh"}, s.Scheduler)
	})
	if v, known := o.sysctl("net.ipv4.vs.sloppy_tcp"); known && v == "0" && hashed {
		out = append(out, advice("sloppy-tcp", "net.ipv4.vs.sloppy_tcp is 0",
			"after a failover, connections that the standby had not been told of are cut, though its hash would send them to the same server",
			"sysctl -w net.ipv4.vs.sloppy_tcp=1 # on both directors"))
	}
	if len(out) == 0 {
		out = append(out, ok("sync", "parameters of the connection-sync daemons are as they should be"))
	}
	return out
}
