package doctor_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

const natConfig = `
vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["202.99.59.110/24"]
  address "192.168.10.254/24" { interface = "eth1" }
  track_interface "eth2" {}
  connection_sync { interface = "eth1" }
}
virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "nat"
  health_check "tcp" {}
  real_server "192.168.10.1:80" {}
}
`

const drConfig = `
vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["202.99.59.110/24"]
}
virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "wlc"
  forwarding = "dr"
  health_check "tcp" {}
  real_server "202.99.59.108:80" {}
}
`

var vmacConfig = strings.Replace(drConfig, "\n}", "\n  vmac {}\n}", 1)

var tunConfig = strings.NewReplacer(`"dr"`, `"tun"`, "202.99.59.108", "198.51.100.8").Replace(drConfig)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lvs-ha.hcl")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, diags := config.Load(file, config.Options{Node: "lb1"})
	if cfg == nil {
		t.Fatal(diags.Err())
	}
	return cfg
}

// healthy returns the observations of a standby director without problems.
func healthy() *doctor.Observed {
	o := &doctor.Observed{
		IPVS: true,
		Modules: doctor.Modules{Listed: true, Loaded: []string{"ip_vs", "ip_vs_rr", "ip_vs_wlc"},
			Available: []string{"ip_vs", "ip_vs_rr", "ip_vs_wlc", "ip_vs_sh"}},
		Links: host.Links{{Name: "lo", Up: true, Loopback: true, MTU: 65536}, {Name: "eth0", Up: true, MTU: 1500},
			{Name: "eth1", Up: true, MTU: 9000}, {Name: "eth2", Up: true, MTU: 1500}},
		Addresses: []host.Address{{Interface: "eth0", Prefix: prefix("202.99.59.111/24")}, {Interface: "eth1", Prefix: prefix("192.168.10.252/24")},
			{Interface: "lo", Prefix: prefix("127.0.0.1/8")}},
		Defaults: []host.Route{{Destination: prefix("0.0.0.0/0"), Interface: "eth0"}},
		Routes: map[netip.Addr]host.Route{
			addr("192.168.10.1"):  {Interface: "eth1", Source: addr("192.168.10.252"), MTU: 9000},
			addr("202.99.59.108"): {Interface: "eth0", Source: addr("202.99.59.111"), MTU: 1500},
			addr("198.51.100.8"):  {Interface: "eth1", Gateway: addr("192.168.10.9"), Source: addr("192.168.10.252"), MTU: 9000},
		},
		Probes:       []doctor.Probe{{Endpoint: netip.MustParseAddrPort("192.168.10.1:80"), Kind: "tcp", OK: true}},
		Capabilities: ^uint64(0),
		Clock:        doctor.Clock{Known: true, Synchronized: true},
		Listened:     map[string]time.Duration{"eth0": 3 * time.Second},
		Sysctls: map[string]string{
			"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1", "net.ipv4.conf.eth1.forwarding": "1",
			"net.ipv6.conf.all.forwarding": "0", "net.ipv6.conf.eth0.accept_ra": "1", "net.ipv6.conf.eth1.accept_ra": "1",
			"net.ipv4.conf.all.send_redirects": "1", "net.ipv4.conf.eth0.send_redirects": "1", "net.ipv4.conf.eth1.send_redirects": "0",
			"net.ipv4.vs.conntrack": "0", "net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.expire_quiescent_template": "1",
			"net.ipv4.vs.conn_reuse_mode": "1", "net.ipv4.vs.sync_threshold": "1 50", "net.ipv4.vs.sync_refresh_period": "10",
			"net.ipv4.vs.sync_version": "1", "net.ipv4.vs.sync_ports": "1", "net.ipv4.vs.sloppy_tcp": "0", "net.ipv4.vs.backup_only": "0",
			"net.ipv4.vs.run_estimation": "1", "net.ipv4.vs.drop_entry": "0",
		},
	}
	o.Sysctls["net.ipv4.conf.all.send_redirects"] = "0"
	for _, iface := range []string{"all", "eth0", "eth1", "eth2"} {
		for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter", "promote_secondaries"} {
			o.Sysctls["net.ipv4.conf."+iface+"."+name] = "0"
		}
	}
	o.Sysctls["net.ipv4.conf.all.promote_secondaries"] = "1"
	o.Adverts = []doctor.Advert{hear("202.99.59.112", 150)}
	return o
}

// hear returns an advert of the other director with the addresses of drConfig.
func hear(source string, priority uint8, change ...func(*doctor.Advert)) doctor.Advert {
	a := doctor.Advert{Interface: "eth0", Source: addr(source),
		Envelope: vrrp.Envelope{Family: vrrp.IPv4, Source: addr(source), Destination: vrrp.MulticastIPv4, HopLimit: 255},
		Advert: vrrp.Advert{Version: 3, Family: vrrp.IPv4, VirtualRouterID: 51, Priority: priority, Interval: time.Second,
			Addresses: []netip.Addr{addr("202.99.59.110")}},
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

// report lists what is not ok, as "severity code subject", and "!" where --fix may correct it.
func report(findings []doctor.Finding) []string {
	var out []string
	for _, f := range findings {
		if f.Severity == doctor.OK {
			continue
		}
		line := strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Subject))
		if len(f.Fixes) > 0 {
			line += "!"
		}
		out = append(out, line)
	}
	return out
}

// examination is one change to a healthy director, and the expected findings.
type examination struct {
	name   string
	config string
	change func(*config.Config, *doctor.Observed)
	want   []string
}

func examine(t *testing.T, cases []examination) {
	t.Helper()
	var prose strings.Builder
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg, o := load(t, c.config), healthy()
			if strings.Contains(c.config, "eth1") {
				o.Adverts[0].Advert.Addresses = append(o.Adverts[0].Advert.Addresses, addr("192.168.10.254"))
			}
			if c.change != nil {
				c.change(cfg, o)
			}
			findings := doctor.Examine(cfg, o)
			if diff := cmp.Diff(c.want, report(findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			describe(&prose, c.name, findings)
			for _, f := range findings {
				if f.Severity != doctor.OK && f.Severity != doctor.Info && f.Why == "" {
					t.Errorf("without a reason: %+v", f)
				}
			}
		})
	}
	if prose.Len() > 0 {
		golden(t, filepath.Join("testdata", t.Name()+".txt"), prose.String())
	}
}

// describe writes the texts of findings that are not ok.
func describe(w *strings.Builder, name string, findings []doctor.Finding) {
	for _, f := range findings {
		if f.Severity == doctor.OK {
			continue
		}
		fmt.Fprintf(w, "# %s\n%s %s: %s\n", name, f.Severity, f.Code, f.What)
		if f.Why != "" {
			fmt.Fprintf(w, "  why: %s\n", f.Why)
		}
		if f.Remedy != "" {
			fmt.Fprintf(w, "  remedy: %s\n", f.Remedy)
		}
	}
}

// golden compares the texts with a file, the only place that has them in the tests.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("LVS_HA_UPDATE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("texts (-%s +got; LVS_HA_UPDATE=1 writes the file):\n%s", name, diff)
	}
}

func set(key, value string) func(*config.Config, *doctor.Observed) {
	return func(_ *config.Config, o *doctor.Observed) { o.Sysctls[key] = value }
}

func TestHealthy(t *testing.T) {
	examine(t, []examination{
		{"NAT", natConfig, nil, nil},
		{"DR", drConfig, nil, nil},
		{"TUN", tunConfig, nil, nil},
		{"nothing", "", nil, nil},
		{"DR needs no forwarding", drConfig, set("net.ipv4.ip_forward", "0"), nil},
	})
	alone := doctor.Examine(&config.Config{}, healthy())
	if !slices.ContainsFunc(alone, func(f doctor.Finding) bool { return f.Code == "ipvs" && f.Severity == doctor.OK }) {
		t.Error("without a configuration nothing is said of IPVS")
	}
	var oks int
	for _, f := range doctor.Examine(load(t, natConfig), healthy()) {
		if f.Severity == doctor.OK {
			oks++
		}
	}
	if oks < 10 {
		t.Errorf("only %d things are said to be right", oks)
	}
}

func TestKernel(t *testing.T) {
	without := func(modules ...string) func(*config.Config, *doctor.Observed) {
		return func(_ *config.Config, o *doctor.Observed) {
			gone := func(m string) bool { return slices.Contains(modules, m) }
			o.Modules.Loaded = slices.DeleteFunc(o.Modules.Loaded, gone)
			if slices.Contains(modules, "ip_vs") {
				o.IPVS = false
			}
		}
	}
	examine(t, []examination{
		{"not loaded", drConfig, without("ip_vs", "ip_vs_wlc"), []string{
			"info ipvs!",
			"info scheduler http!",
		}},
		{"none", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.IPVS, o.Modules = false, doctor.Modules{Listed: true}
		}, []string{
			"error ipvs",
		}},
		{"another namespace", drConfig, func(_ *config.Config, o *doctor.Observed) { o.IPVS = false }, []string{
			"error ipvs",
		}},
		{"a container", drConfig, func(_ *config.Config, o *doctor.Observed) { o.Modules = doctor.Modules{} }, []string{
			"info scheduler http",
		}},
		{"persistence engine", drConfig, func(c *config.Config, _ *doctor.Observed) { c.Services[0].PersistenceEngine = "sip" }, []string{
			"error scheduler http",
		}},
		{"no configuration, none", "", func(_ *config.Config, o *doctor.Observed) {
			o.IPVS, o.Modules = false, doctor.Modules{Listed: true}
		}, []string{
			"warning ipvs",
		}},
		{"no configuration, not loaded", "", without("ip_vs"), []string{"info ipvs"}}, // --fix does not apply
		{"VRRP alone", drConfig[:strings.Index(drConfig, "virtual_service")], func(_ *config.Config, o *doctor.Observed) { o.IPVS = false }, nil},
		{"a plain user", natConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Capabilities, o.IPVS, o.Modules.Loaded = 0, false, o.Modules.Loaded[1:]
		}, []string{
			"error capability CAP_NET_ADMIN",
			"error capability CAP_NET_RAW",
			"warning capability CAP_SYS_NICE",
			"warning capability CAP_IPC_LOCK",
			"info ipvs!",
		}},
		{"a daemon that keeps all rights", "", func(_ *config.Config, o *doctor.Observed) {
			o.Processes = []supervisor.Running{
				{Name: "speaker", PID: 7, Capabilities: supervisor.SpeakerCapabilities, Needs: supervisor.SpeakerCapabilities, NoNewPrivs: true},
				{Name: "director", PID: 8, Capabilities: supervisor.ParentCapabilities, Needs: supervisor.DirectorCapabilities, NoNewPrivs: true},
			}
		}, []string{
			"warning capability director (process 8)",
		}},
		{"clock", "", func(_ *config.Config, o *doctor.Observed) { o.Clock.Synchronized = false }, []string{
			"warning clock"}},
		{"scripts", "", func(_ *config.Config, o *doctor.Observed) {
			o.Scripts = []doctor.Script{{Command: config.Command{Block: "track_script good"}}, {Command: config.Command{Block: "track_script bad", Consequence: "it counts as failed"}, Refused: "/y is not executable"},
				{Command: config.Command{Block: "notify.master of vrrp web", Consequence: "it would fail"}, Refused: "/x: no such file"}}
		}, []string{"error script track_script bad", "error script notify.master of vrrp web"}},
		{"clock unknown", "", func(_ *config.Config, o *doctor.Observed) { o.Clock = doctor.Clock{} }, nil},
		{"not seen", "", func(_ *config.Config, o *doctor.Observed) {
			o.Unseen = []doctor.Unseen{{What: "kernel modules", Err: "no"}}
		}, []string{"info not-seen"}},
	})
}

func TestForwarding(t *testing.T) {
	managed := "sysctl { manage = true }\n" + natConfig
	examine(t, []examination{
		{"off", natConfig, set("net.ipv4.ip_forward", "0"), []string{
			"error ip-forward net.ipv4.ip_forward!"}},
		{"off, managed", managed, set("net.ipv4.ip_forward", "0"), []string{
			"info ip-forward net.ipv4.ip_forward"}},
		{"off, managed, running", managed, func(_ *config.Config, o *doctor.Observed) {
			o.Sysctls["net.ipv4.ip_forward"] = "0"
			o.Running = &doctor.Running{States: map[string]vrrp.State{"web": vrrp.Backup}}
		}, []string{"error ip-forward net.ipv4.ip_forward!"}},
		{"off for a device", natConfig, set("net.ipv4.conf.eth1.forwarding", "0"), []string{
			"error device-forward eth1!"}},
		{"redirects between two networks", natConfig, set("net.ipv4.conf.all.send_redirects", "1"), nil},
		{"redirects on one network", strings.Replace(drConfig, `"dr"`, `"nat"`, 1), nil, []string{
			"warning send-redirects net.ipv4.conf.eth0.send_redirects!",
			"info nat-one-network 202.99.59.0/24"}},
		{"no scheduler", drConfig, func(c *config.Config, _ *doctor.Observed) { c.Services[0].Scheduler = "mh" }, []string{
			"error scheduler http"}},
		{"IPv6", natConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].RealServers[0].Address = addr("fd00::1")
			o.Defaults = append(o.Defaults, host.Route{Destination: prefix("::/0"), Interface: "eth0", Advertised: true})
		}, []string{
			"warning accept-ra net.ipv6.conf.eth0.accept_ra!",
			"error ipv6-forward net.ipv6.conf.all.forwarding!",
		}},
		{"strict reverse path", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Sysctls["net.ipv4.conf.all.rp_filter"], o.Defaults[0].Interface = "1", "eth1"
		}, []string{"warning rp-filter eth0!"}},
		{"strict reverse path, right way", drConfig, set("net.ipv4.conf.all.rp_filter", "1"), nil},
		{"loose reverse path", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Sysctls["net.ipv4.conf.all.rp_filter"], o.Sysctls["net.ipv4.conf.eth0.rp_filter"], o.Defaults[0].Interface = "1", "2", "eth1"
		}, nil},
	})
}

func TestTuning(t *testing.T) {
	examine(t, []examination{
		{"expire_nodest_conn", drConfig, set("net.ipv4.vs.expire_nodest_conn", "0"), []string{
			"info expire-nodest"}},
		{"expire_nodest_conn, servers stay", drConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].OnFailure, o.Sysctls["net.ipv4.vs.expire_nodest_conn"] = config.Weight, "0"
		}, nil},
		{"expire_nodest_conn, UDP", drConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].Protocol, o.Sysctls["net.ipv4.vs.expire_nodest_conn"] = ipvs.UDP, "0"
		}, []string{"warning expire-nodest http!"}},
		{"expire_nodest_conn, each packet by itself", drConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].Protocol, c.Services[0].Flags, o.Sysctls["net.ipv4.vs.expire_nodest_conn"] = ipvs.UDP, ipvs.FlagOnePacket, "0"
		}, []string{"info expire-nodest"}},
		{"expire_quiescent_template, not persistent", drConfig, set("net.ipv4.vs.expire_quiescent_template", "0"), nil},
		{"expire_quiescent_template, persistent", drConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].Flags, o.Sysctls["net.ipv4.vs.expire_quiescent_template"] = ipvs.FlagPersistent, "0"
		}, []string{"info expire-quiescent http"}},
		{"expire_quiescent_template, persistent, weight 0", drConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].Flags, c.Services[0].OnFailure = ipvs.FlagPersistent, config.Weight
			o.Sysctls["net.ipv4.vs.expire_quiescent_template"] = "0"
		}, []string{"warning expire-quiescent http!"}},
		{"conn_reuse_mode", drConfig, set("net.ipv4.vs.conn_reuse_mode", "0"), []string{
			"info conn-reuse"}},
		{"drop_entry", drConfig, set("net.ipv4.vs.drop_entry", "1"), []string{"info overload-defence"}},
		{"run_estimation", drConfig, set("net.ipv4.vs.run_estimation", "0"), []string{
			"info run-estimation"}},
		{"sync_threshold", natConfig, set("net.ipv4.vs.sync_threshold", "3 50"), []string{
			"info sync-threshold"}},
		{"sync without sync", drConfig, set("net.ipv4.vs.sync_threshold", "3 50"), nil},
		{"sync_version", natConfig, set("net.ipv4.vs.sync_version", "0"), []string{
			"warning sync-version!"}},
		{"sync_refresh_period", natConfig, set("net.ipv4.vs.sync_refresh_period", "0"), []string{
			"info sync-refresh"}},
		{"sync_ports", natConfig, set("net.ipv4.vs.sync_ports", "4"), []string{"info sync-ports"}},
		{"sloppy_tcp with a hash", natConfig, func(c *config.Config, o *doctor.Observed) {
			c.Services[0].Scheduler, o.Modules.Loaded = "sh", append(o.Modules.Loaded, "ip_vs_sh")
		}, []string{"info sloppy-tcp"}},
		{"conntrack", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Firewall = []doctor.FirewallRule{{"nft", "ct state established accept"}, {"nft", "masquerade"}}
		}, []string{"warning conntrack nft"}},
		{"conntrack on", drConfig, func(_ *config.Config, o *doctor.Observed) {
			o.Firewall, o.Sysctls["net.ipv4.vs.conntrack"] = []doctor.FirewallRule{{"nft", "ct state established accept"}}, "1"
		}, nil},
	})
}
