package doctor

import (
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// expiry checks how connections to a removed server end.
func expiry(cfg *config.Config, o *Observed) []Finding {
	if len(cfg.Services) == 0 {
		return nil
	}
	var out []Finding
	if v, known := o.sysctl("net.ipv4.vs.expire_nodest_conn"); known && v == "0" {
		out = append(out, removed(cfg)...)
	}
	if v, known := o.sysctl("net.ipv4.vs.expire_quiescent_template"); known && v == "0" {
		out = append(out, quiescent(cfg)...)
	}
	if v, known := o.sysctl("net.ipv4.vs.conn_reuse_mode"); known && v == "0" {
		out = append(out, advice("conn-reuse", "net.ipv4.vs.conn_reuse_mode is 0",
			"a client that reuses a port is sent to its previous server, even if that one is drained or down",
			"sysctl -w net.ipv4.vs.conn_reuse_mode=1"))
	}
	for _, name := range []string{"drop_entry", "drop_packet", "secure_tcp"} {
		if v, known := o.sysctl("net.ipv4.vs." + name); known && v != "0" {
			out = append(out, advice("overload-defence", fmt.Sprintf("net.ipv4.vs.%s is %s", name, v),
				"IPVS may drop connections or packets when memory is low", ""))
		}
	}
	return out
}

func advice(code, what, why, remedy string) Finding {
	return Finding{Code: code, Severity: Info, What: what, Why: why, Remedy: remedy}
}

// removed checks for connections that stay with a removed server.
func removed(cfg *config.Config) []Finding {
	const key = "net.ipv4.vs.expire_nodest_conn"
	removes := func(s config.VirtualService) bool {
		return slices.ContainsFunc(s.RealServers, func(rs config.RealServer) bool { return s.FailureOf(rs) == config.Remove })
	}
	flows := slices.IndexFunc(cfg.Services, func(s config.VirtualService) bool {
		return removes(s) && s.Protocol == ipvs.UDP && s.Flags&ipvs.FlagOnePacket == 0
	})
	if flows >= 0 {
		f := Finding{Code: "expire-nodest", Severity: Warning, Subject: cfg.Services[flows].Name, What: key + " is 0",
			Why: "packets of a UDP client that keeps its port are dropped for minutes after its server was removed; with 1 another server gets them at once"}
		return []Finding{f.set(key, "1")}
	}
	if !slices.ContainsFunc(cfg.Services, removes) {
		return nil
	}
	return []Finding{advice("expire-nodest", key+" is 0",
		"packets of connections to a removed server are dropped silently until the client times out; with 1 such connections end at once", "sysctl -w "+key+"=1")}
}

// quiescent checks for persistent clients that stay with a server of weight 0.
func quiescent(cfg *config.Config) []Finding {
	const key = "net.ipv4.vs.expire_quiescent_template"
	for _, s := range cfg.Services {
		if s.Flags&ipvs.FlagPersistent == 0 {
			continue
		}
		f := Finding{Code: "expire-quiescent", Severity: Info, Subject: s.Name, What: key + " is 0",
			Why: "clients of a persistent service stay with a server of weight 0, drained or failed, until their persistence ends"}
		if slices.ContainsFunc(s.RealServers, func(rs config.RealServer) bool { return s.FailureOf(rs) == config.Weight }) {
			f.Severity = Warning
			return []Finding{f.set(key, "1")}
		}
		f.Remedy = "sysctl -w " + key + "=1"
		return []Finding{f}
	}
	return nil
}

// estimation checks that the kernel computes rates.
func estimation(cfg *config.Config, o *Observed) []Finding {
	if v, known := o.sysctl("net.ipv4.vs.run_estimation"); known && v == "0" && len(cfg.Services) > 0 {
		return []Finding{advice("run-estimation", "net.ipv4.vs.run_estimation is 0", "rates are always 0; counters are correct", "sysctl -w net.ipv4.vs.run_estimation=1")}
	}
	return nil
}

// synchronization checks the parameters of the connection-sync daemons.
func synchronization(cfg *config.Config, o *Observed) []Finding {
	if !synchronizes(cfg) {
		return nil
	}
	var out []Finding
	const version = "net.ipv4.vs.sync_version"
	v, known := o.sysctl(version)
	if !known {
		return nil // no IPVS: reported by kernelIPVS
	}
	if v == "0" {
		out = append(out, Finding{Code: "sync-version", Severity: Warning, What: version + " is 0",
			Why: "version 0 does not support IPv6, firewall marks and timeouts; both directors must use the same version"}.set(version, "1"))
	}
	if v, known := o.sysctl("net.ipv4.vs.sync_threshold"); known && number(v) > 1 {
		out = append(out, advice("sync-threshold", fmt.Sprintf("net.ipv4.vs.sync_threshold is %s", v),
			fmt.Sprintf("a connection is synchronized after %d packets: shorter ones do not survive a failover", number(v)),
			`sysctl -w net.ipv4.vs.sync_threshold='1 50' # synchronizes earlier, with more messages`))
	}
	if v, known := o.sysctl("net.ipv4.vs.sync_refresh_period"); known && v == "0" {
		out = append(out, advice("sync-refresh", "net.ipv4.vs.sync_refresh_period is 0",
			"a connection is synchronized again after the number of packets in the second field of sync_threshold; one with few packets may expire on the backup before that",
			"sysctl -w net.ipv4.vs.sync_refresh_period=10 # also synchronizes when its timer has changed by 10 s"))
	}
	if v, known := o.sysctl("net.ipv4.vs.sync_ports"); known && v != "1" {
		out = append(out, advice("sync-ports", fmt.Sprintf("net.ipv4.vs.sync_ports is %s", v), "it must be the same on the other director", ""))
	}
	hashed := slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool {
		return slices.Contains([]string{"sh", "dh", "mh"}, s.Scheduler)
	})
	if v, known := o.sysctl("net.ipv4.vs.sloppy_tcp"); known && v == "0" && hashed {
		out = append(out, advice("sloppy-tcp", "net.ipv4.vs.sloppy_tcp is 0",
			"after a failover, connections that were not synchronized are cut, although the hash would send them to the same server",
			"sysctl -w net.ipv4.vs.sloppy_tcp=1 # on both directors"))
	}
	if len(out) == 0 {
		out = append(out, ok("sync", "connection-sync parameters are correct"))
	}
	return out
}
