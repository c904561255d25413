package doctor

import (
	"fmt"
	"slices"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/ipvs"
)

// expiry looks at what becomes of connections to a server that is taken out.
func expiry(cfg *config.Config, o *Observed) []Finding {
	if len(cfg.Services) == 0 {
		return nil
	}
	var out []Finding
	removes := slices.ContainsFunc(cfg.Services, func(s config.VirtualService) bool { return s.OnFailure == config.Remove })
	if v, known := o.sysctl("net.ipv4.vs.expire_nodest_conn"); known && v == "0" && removes {
		out = append(out, advice("expire-nodest", "net.ipv4.vs.expire_nodest_conn is 0",
			"packets of connections to a server that was removed are dropped in silence, and clients wait for their own timeout; with 1 such a connection ends at once",
			"sysctl -w net.ipv4.vs.expire_nodest_conn=1"))
	}
	if v, known := o.sysctl("net.ipv4.vs.expire_quiescent_template"); known && v == "0" {
		out = append(out, quiescent(cfg)...)
	}
	if v, known := o.sysctl("net.ipv4.vs.conn_reuse_mode"); known && v == "0" {
		out = append(out, advice("conn-reuse", "net.ipv4.vs.conn_reuse_mode is 0",
			"a client that uses a port again goes to the server that it had, even if that one is drained or gone",
			"sysctl -w net.ipv4.vs.conn_reuse_mode=1"))
	}
	for _, name := range []string{"drop_entry", "drop_packet", "secure_tcp"} {
		if v, known := o.sysctl("net.ipv4.vs." + name); known && v != "0" {
			out = append(out, advice("overload-defence", fmt.Sprintf("net.ipv4.vs.%s is %s", name, v),
				"IPVS may drop connections or packets when memory is short", ""))
		}
	}
	return out
}

func advice(code, what, why, mend string) Finding {
	return Finding{Code: code, Severity: Info, What: what, Why: why, Mend: mend}
}

// quiescent looks for persistence whose clients would stay with a server that is given no new ones.
func quiescent(cfg *config.Config) []Finding {
	const key = "net.ipv4.vs.expire_quiescent_template"
	for _, s := range cfg.Services {
		if s.Flags&ipvs.FlagPersistent == 0 {
			continue
		}
		f := Finding{Code: "expire-quiescent", Severity: Info, Subject: s.Name, What: key + " is 0",
			Why: "clients of a persistent service go on to a server of weight 0, drained or failed, until their persistence ends"}
		if s.OnFailure == config.Weight {
			f.Severity = Warning
			return []Finding{f.set(key, "1")}
		}
		f.Mend = "sysctl -w " + key + "=1"
		return []Finding{f}
	}
	return nil
}

// estimation looks whether the kernel reckons rates.
func estimation(cfg *config.Config, o *Observed) []Finding {
	if v, known := o.sysctl("net.ipv4.vs.run_estimation"); known && v == "0" && len(cfg.Services) > 0 {
		return []Finding{advice("run-estimation", "net.ipv4.vs.run_estimation is 0", "rates are shown as 0; counters are right", "sysctl -w net.ipv4.vs.run_estimation=1")}
	}
	return nil
}
