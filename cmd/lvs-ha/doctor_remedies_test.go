package main

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// fault is a command that breaks the host, and the code of the finding that must report it.
type fault struct{ code, command string }

// repair causes the faults, runs the remedies of their findings in a shell, and checks that the findings are gone.
func (p lvsha) repair(config string, faults ...fault) {
	p.t.Helper()
	path := "PATH=" + filepath.Dir(p.binary) + ":$PATH; "
	run := func(command string) {
		p.t.Helper()
		if out, err := p.host.Command(p.t.Context(), "sh", "-ec", path+command).CombinedOutput(); err != nil {
			p.t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	for _, m := range faults {
		run(m.command)
	}
	broken := p.diagnose(config)
	for _, m := range faults {
		f := broken.find(m.code)
		if f.Remedy == "" {
			p.t.Fatalf("after %s: no %s with a remedy", m.command, m.code)
		}
		run(f.Remedy)
	}
	repaired := p.diagnose(config)
	for _, m := range faults {
		if f := repaired.find(m.code); f.Code != "" && f.Severity != doctor.OK {
			p.t.Errorf("after %s, remedied by %s: %+v", m.command, broken.find(m.code).Remedy, f)
		}
	}
}

func TestHostDoctorRemedies(t *testing.T) {
	lab.Need(t, lab.Host)
	p := newLVSHA(t, "10.0.0.1/24")
	const six = `
vrrp "six" {
  interface          = "eth0"
  virtual_router_id  = 51
  advertise_interval = "100ms"
  addresses          = ["fe80::99/64", "fd00::99/64"]
}
`
	four := fmt.Sprintf(vrrpOnly, "10.0.0.100/24")
	if out, err := p.host.Command(t.Context(), "sysctl", "-w", "net.ipv4.ip_forward=1", "net.ipv4.conf.eth0.promote_secondaries=1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.repair(six, fault{"no-source", "ip -6 address flush dev eth0 scope link"})
	p.repair(six, fault{"no-source", "sysctl -w net.ipv6.conf.eth0.disable_ipv6=1"})
	p.repair(four, fault{"interface-down", "ip link set dev eth0 down"})
	p.repair(natByLB1, fault{"ip-forward", "sysctl -w net.ipv4.ip_forward=0"})
	p.repair(four,
		fault{"secondary-address", "sysctl -w net.ipv4.conf.all.promote_secondaries=0 net.ipv4.conf.eth0.promote_secondaries=0"},
		fault{"rp-filter", "sysctl -w net.ipv4.conf.all.rp_filter=1; ip link add other type bridge; ip link set dev other up; ip route add default dev other"},
		fault{"arp-flux", "ip address add 10.0.0.7/24 dev other"},
	)
	p.repair(four, fault{"backup-only", "lvs-ha realserver up --vip 10.0.0.100"})
}

func TestKernelDoctorRemedies(t *testing.T) {
	lab.Need(t, lab.Kernel)
	p := newLVSHA(t, "10.0.0.1/24")
	const service = `
virtual_service "http" {
  address    = "10.0.0.100:80"
  scheduler  = %q
  forwarding = "dr"
  persistence { timeout = "5m" }
  on_failure = %q
  real_server "10.0.0.1:80" {}
}
`
	pair := fmt.Sprintf(vrrpOnly, "10.0.0.100/24")
	pair = pair[:len(pair)-2] + "  connection_sync { interface = \"eth0\" }\n}\n"
	alone, weights, hashed := fmt.Sprintf(service, "rr", "remove"), fmt.Sprintf(service, "rr", "weight"), pair+fmt.Sprintf(service, "sh", "remove")
	vs := func(setting string) string { return "sysctl -w net.ipv4.vs." + setting }
	if out, err := p.host.Command(t.Context(), "sh", "-ec", vs("expire_nodest_conn=1 net.ipv4.vs.expire_quiescent_template=1 net.ipv4.vs.sync_threshold='1 50'"+
		" net.ipv4.vs.sync_refresh_period=10 net.ipv4.vs.sloppy_tcp=1")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.repair(alone,
		fault{"conntrack", "iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP"},
		fault{"expire-nodest", vs("expire_nodest_conn=0")},
		fault{"expire-quiescent", vs("expire_quiescent_template=0")},
		fault{"conn-reuse", vs("conn_reuse_mode=0")},
		fault{"run-estimation", vs("run_estimation=0")},
	)
	p.repair(weights, fault{"expire-quiescent", vs("expire_quiescent_template=0")})
	p.repair(hashed,
		fault{"sync-version", vs("sync_version=0")},
		fault{"sync-threshold", vs("sync_threshold='3 50'")},
		fault{"sync-refresh", vs("sync_refresh_period=0")},
		fault{"sloppy-tcp", vs("sloppy_tcp=0")},
		fault{"backup-only", "lvs-ha realserver up --vip 10.0.0.100"},
	)
}
