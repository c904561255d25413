package convert

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// TestEveryWordHasAFate compares the table with keepalived's grammar.
func TestEveryWordHasAFate(t *testing.T) {
	for block, words := range keepalived.Keywords() {
		if unwritten[block] && table[block] == nil {
			continue
		}
		for _, w := range words {
			if _, ok := table[block][w]; !ok {
				t.Errorf("%s: %s has no fate", block, w)
			}
		}
		for w, entry := range table[block] {
			if !slices.Contains(words, w) {
				t.Errorf("%s: keepalived has no word %s", block, w)
			}
			if entry.fate.Lossy() && entry.text == "" {
				t.Errorf("%s: %s is %s without a reason", block, w, entry.fate)
			}
		}
	}
}

// unwritten are blocks whose lines are not converted one by one.
var unwritten = map[string]bool{"bfd_instance": true, "track_group": true, "BFD_CHECK": true}

func valid(t *testing.T, hcl []byte) {
	t.Helper()
	if string(hclwrite.Format(hcl)) != string(hcl) {
		t.Error("it is not in the canonical layout")
	}
	_, diags := config.LoadText("lvs-ha.hcl", hcl, config.Options{Node: "lb1"})
	findings, _ := diags.Findings()
	if slices.ContainsFunc(findings, func(f config.Finding) bool { return !f.Warning && !f.AboutFile() }) {
		t.Errorf("%v\n%s", diags.Err(), hcl)
	}
}

// TestSamples converts the samples that Debian's package of keepalived installs.
func TestSamples(t *testing.T) {
	const pattern = "/usr/share/doc/keepalived/samples/keepalived.conf.*"
	paths, _ := filepath.Glob(pattern)
	if len(paths) == 0 {
		t.Skip("no " + pattern)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			source, err := keepalived.Read(path, keepalived.Options{Node: "lb1"})
			if err != nil {
				t.Fatal(err)
			}
			r := Convert([]Source{{Config: source}}, Options{})
			valid(t, r.HCL)
			if os.Getenv("SHOW") != "" {
				t.Logf("\n%s", r.HCL)
				for _, f := range r.Findings {
					t.Logf("%s %s.%s: %s %s", f.Position, f.Block, f.Word, f.Fate, f.Text)
				}
			}
		})
	}
}

// TestBothFiles converts the two files of a pair to one.
func TestBothFiles(t *testing.T) {
	var sources []Source
	for _, node := range []string{"lb1", "lb2"} {
		c, err := keepalived.Read("testdata/"+node+".conf", keepalived.Options{Node: node})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{node, c})
	}
	r := Convert(sources, Options{})
	valid(t, r.HCL)
	if *update {
		if err := os.WriteFile("testdata/pair.hcl", r.HCL, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/pair.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(r.HCL) {
		t.Errorf("it became\n%s", r.HCL)
	}
	priorities := map[uint8]bool{}
	for _, node := range []string{"lb1", "lb2"} {
		c, _ := config.LoadText("lvs-ha.hcl", r.HCL, config.Options{Node: node})
		priorities[c.VRRP[0].Priority] = true
	}
	if !priorities[101] || !priorities[100] {
		t.Errorf("priorities %v", priorities)
	}
}

// TestFates converts lines whose fate depends on others.
func TestFates(t *testing.T) {
	instance := func(lines string) string {
		return "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.1/24 }\n" + lines + "\n}\n"
	}
	server := func(lines string) string {
		return "virtual_server 10.0.0.9 80 {\nreal_server 10.0.1.2 80 {\n}\n" + lines + "\n}\n"
	}
	for _, c := range []struct {
		text, word string
		fate       Fate
		has        string // in the result
	}{
		{instance("nopreempt"), "nopreempt", Same, "preempt           = false"},
		{instance("state MASTER\nnopreempt"), "nopreempt", Ignored, ""},
		{instance("state MASTER priority 200"), "state", Ignored, `# state: keepalived reads only one word and ignores "priority 200".`},
		{instance("use_vmac vip\nno_accept\nvmac_xmit_base"), "no_accept", Same, "interface = \"vip\"\n    accept    = false\n    xmit_base = true"},
		{instance("use_vmac"), "use_vmac", Same, "vmac {}"},
		{instance("use_vmac 02:00:00:00:00:01"), "use_vmac", Differs, "vmac {}"},
		{instance("use_ipvlan ipv0 10.0.0.7"), "use_ipvlan", Differs, ""},
		{instance("virtual_rules {\nfrom 10.0.0.2 table named pref 4\n}"), "virtual_rules", Equivalent, "table    = 100"},
		{instance("virtual_routes {\n10.1.0.0/16 via 10.0.0.9 table named protocol keepalived\n}"), "virtual_routes", Equivalent, "table = 100"},
		{instance("virtual_routes {\n10.1.0.0/16 via 10.0.0.9 initcwnd 20 advmss lock 1360\n}"), "virtual_routes", Differs, "path_metrics = { advmss = 1360, initcwnd = 20 }"},
		{instance("virtual_routes {\n10.1.0.0/16 via 10.0.0.9 hoplimit 256 initcwnd 0 window 5\n}"), "virtual_routes", Missing, "path_metrics = { window = 5 }"},
		{instance("no_accept"), "no_accept", Missing, "# keepalived's no_accept"},
		{instance("state MASTER"), "state", Equivalent, "priority          = 255"},
		{instance("state BACKUP\npriority 255"), "state", Differs, "priority = 255"},
		{instance("state MASTER\npriority 255"), "priority", Equivalent, "priority          = 255"},
		{instance("priority 300"), "priority", Ignored, "priority          = 100"},
		{instance("advert_int 0.4"), "advert_int", Ignored, `advertise_interval = "1s"`},
		{instance("version 3\nadvert_int 0.25"), "advert_int", Same, `advertise_interval = "250ms"`},
		{instance("authentication {\nauth_type PASS\nauth_pass 123456789\n}"), "auth_pass", Equivalent, `auth_pass         = "12345678"`},
		{instance("version 3\nauthentication {\nauth_type PASS\nauth_pass 1\n}"), "auth_pass", Ignored, ""},
		{instance("authentication {\nauth_type AH\nauth_pass 1\n}"), "auth_type", Missing, "# keepalived's auth_type"},
		{instance("no_such_word 3"), "no_such_word", Ignored, ""},
		{instance("track_script {\nabsent\n}"), "track_script", Ignored, ""},
		{instance("track_script {\nlate\n}") + "vrrp_script late {\nscript /bin/true\n}\n", "track_script", Ignored, `add: track "late" {}`},
		{"vrrp_track_process p {\nprocess x\n}\n" + instance("track_process {\np\n}"), "track_process", Same, `track "p" {}`},
		{server("real_server 10.0.1.3 80 {\nFILE_CHECK {\ntrack_file late\n}\n}") + "track_file late {\nfile /run/a\n}\n", "FILE_CHECK", Ignored, ""},
		{"global_defs {\nenable_script_security\n}\nvrrp_script s {\nscript /bin/true\n}\n", "enable_script_security", Differs, "# keepalived's enable_script_security"},
		{"global_defs {\nenable_script_security\n}\nvrrp_script s {\nscript /bin/true\nuser nobody\n}\n" + instance("notify /bin/true nobody"), "enable_script_security", Equivalent, ""},
		{"vrrp_sync_group G {\ngroup {\nV # a\nW\nV\n}\n}\n" + instance("") + "vrrp_instance W {\ninterface eth1\nvirtual_router_id 7\n}\n", "vrrp_sync_group", Ignored, `"V", # a`},
		{instance("virtual_ipaddress_excluded {\nfd00::1\n}"), "virtual_ipaddress_excluded", Missing, "# keepalived's"},
		{"vrrp_instance V {\ninterface eth0\nvirtual_ipaddress { fd00::1/64 }\nversion 2\nvirtual_router_id 7\n}\n", "vrrp_instance", Missing, "# keepalived's"},
		{"vrrp_script s {\nscript \"systemctl stop keepalived\"\n}\n", "script", Differs, "lvs-ha failover"},
		{"vrrp_script s {\nscript \"/bin/a | /bin/b\"\n}\n", "script", Ignored, `["/bin/a", "|", "/bin/b"]`},
		{"vrrp_script s {\nscript pidof haproxy\n}\n", "script", Ignored, `["pidof"]`},
		{"vrrp_script s {\nscript \"pgrep -x nginx\"\nuser www www\n}\n", "script", Equivalent, `# Or without a command: track_process "nginx" {}`},
		{"vrrp_track_process p {\nprocess nginx\nquorum 2\ndelay 1.5\n}\n", "quorum", Same, "minimum    = 2"},
		{"global_defs {\nlvs_timeouts tcp 60 udp 5\n}\n", "lvs_timeouts", Same, `tcp = "1m"`},
		{"global_defs {\nnotification_email { a }\nsmtp_server 10.0.0.9\nsmtp_alert\n}\n", "smtp_server", Same, `smtp = "10.0.0.9:25"`},
		{"global_defs {\nlvs_sync_daemon eth1 V id 3\n}\n" + instance(""), "lvs_sync_daemon", Equivalent, "sync_id   = 3"},
		{instance("mcast_dst_ip 224.0.0.99"), "mcast_dst_ip", Same, `multicast_address = "224.0.0.99"`},
		{"global_defs {\nvrrp_mcast_group4 224.0.0.98\n}\n" + instance(""), "vrrp_mcast_group4", Equivalent, `multicast_address = "224.0.0.98"`},
		{instance("virtual_ipaddress_excluded {\n10.1.0.1/24 scope link brd - noprefixroute\n}"), "virtual_ipaddress_excluded", Same, "prefix_route = false"},
		{instance("virtual_ipaddress_excluded {\n10.1.0.1 peer 10.1.0.2 brd x\n}"), "virtual_ipaddress_excluded", Ignored, `peer     = "10.1.0.2"`},
		{instance("virtual_ipaddress {\n10.1.0.1/24 dev eth1\n}"), "virtual_ipaddress", Same, `track_interface "eth1" {}`},
		{instance("virtual_ipaddress {\n10.1.0.1/24 dev eth1\n}\ntrack_interface {\neth1 weight 5\n}"), "track_interface", Ignored, `track_interface "eth1" {}`},
		{instance("virtual_routes {\nsrc 10.0.0.1 to 10.1.2.3/16 via 10.0.0.254 dev eth0 table 100 metric 5 mtu lock 1400 # here\n}"), "virtual_routes", Same, `source    = "10.0.0.1"`},
		{instance("virtual_routes {\n10.1.0.0/16 dev eth0\n}"), "virtual_routes", Same, `scope     = "global"`},
		{instance("virtual_routes {\nblackhole 10.1.0.0/16\ndefault via fd00::9\n10.2.0.0/16 via 10.0.0.9 or 10.0.0.8\n}"), "virtual_routes", Differs, `route "::/0"`},
		{instance("virtual_routes {\n10.1.0.0/16 nexthop via 10.0.0.9 dev eth0 onlink weight 2 nexthop via 10.0.0.8 weight 1\n10.3.0.0/16 dev eth0 congctl cubic\n}"), "virtual_routes", Missing, "weight    = 2"},
		{instance("virtual_rules {\nfrom 10.0.0.1 to 10.9.0.0/16 table 100 fwmark 24/31 preference 39\nto 10.8.0.0/16 prohibit iif eth0\n}"), "virtual_rules", Differs, "priority = 39"},
		{instance("virtual_rules {\nfrom 10.0.0.1 uidrange 1-2 table 5\nfrom 10.0.0.2 table small pref 4\nfrom 10.0.0.3 table 9 pref 4\nx\n}"), "virtual_rules", Missing, "priority = 4"},
		{"static_ipaddress {\n10.7.0.1/24 dev eth1 scope link\nfd07::1\n}\n" + instance(""), "static_ipaddress", Differs, `static_address "10.7.0.1/24"`},
		{"static_routes {\n10.7.1.0/24 dev eth1 scope link\n10.7.1.0/x\n}\nstatic_rules {\nfrom 10.7.0.0/24 table main pref 7\n}\n" + instance(""), "static_routes", Ignored, "static_rule {"},
		{server("protocol TCP\nops"), "ops", Ignored, `forwarding = "nat"`},
		{server("alpha"), "virtual_server", Same, `protocol   = "udp" # keepalived's default`},
		{"virtual_server 10.0.0.9 {\nprotocol TCP\nreal_server 10.0.1.2 80 {\n}\n}\n", "virtual_server", Same, `timeout = "6m"`},
		{server("lb_kind DR"), "lb_kind", Same, `forwarding = "dr"`},
		{server(""), "virtual_server", Equivalent, `forwarding = "nat"`},
		{server(""), "virtual_server", Equivalent, `init       = "up"`},
		{server("real_server 10.0.1.3 80 {\nTCP_CHECK {\nalpha\n}\n}"), "virtual_server", Equivalent, `init = "down"`},
		{server("alpha\nreal_server 10.0.1.3 80 {\nalpha no\nTCP_CHECK {\n}\n}"), "alpha", Same, `init = "up"`},
		{server("real_server 10.0.1.3 80 {\nalpha\nTCP_CHECK {\nalpha off\n}\nPING_CHECK {\nalpha maybe\n}\n}"), "alpha", Same, `init = "down"`},
		{server("alpha"), "alpha", Same, ""},
		{server("persistence_timeout 0"), "persistence_timeout", Ignored, ""},
		{server("persistence_timeout"), "persistence_timeout", Same, `timeout = "6m"`},
		{server("lb_algo nonsense"), "lb_algo", Ignored, `scheduler  = "wlc"`},
		{server("lb_algo sh\nsh-port\nsh-fallback"), "sh-port", Same, `scheduler_flags = ["sh-port", "sh-fallback"]`},
		{server("weight 4\nquorum 3\nhysteresis 1"), "quorum", Same, "hysteresis = 1"},
		{server("weight 4\nquorum 3\nhysteresis 1"), "hysteresis", Differs, "hysteresis = 1"},
		{server("weight 4\nquorum 99\nhysteresis 1"), "quorum", Equivalent, "weight = "},
		{server("weight 4\nquorum 3\nhysteresis 3"), "hysteresis", Equivalent, "hysteresis = "},
		{server("quorum_up /bin/a\nquorum_down \"/bin/b c\"\nomega"), "quorum_down", Equivalent, `down    = ["/bin/b", "c"]`},
		{"vrrp_instance a {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.9/24\n}\n}\n" + server("ha_suspend"), "ha_suspend", Same, `check_on   = "master"`},
		{server("ha_suspend"), "ha_suspend", Missing, ""},
		{"virtual_server fwmark 7 {\nha_suspend\nreal_server 10.0.1.2 80 {\n}\n}\n", "ha_suspend", Ignored, ""},
		{"track_file load {\nfile /run/load\nweight 3\n}\n" + server("real_server 10.0.1.3 80 {\nFILE_CHECK {\ntrack_file load\n}\n}"), "FILE_CHECK", Same, `factor = 3`},
		{"track_file load {\nfile /run/load\n}\n" + server("real_server 10.0.1.3 80 {\nFILE_CHECK {\ntrack_file load\nweight 2 reverse\n}\n}"), "FILE_CHECK", Same, `factor = -2`},
		{"track_file load {\nfile /run/load\n}\n" + server("real_server 10.0.1.3 80 {\nFILE_CHECK {\ntrack_file load\nweight 0 reverse\n}\n}"), "FILE_CHECK", Missing, ""},
		{"track_file load {\nfile /run/load\n}\n" + server("real_server 10.0.1.3 80 {\nweight 0\nFILE_CHECK {\ntrack_file load\n}\n}"), "FILE_CHECK", Differs, ""},
		{"track_file load {\nfile /run/load\n}\n" + server("real_server 10.0.1.3 80 {\nweight 0\nFILE_CHECK {\ntrack_file load\nweight 0\n}\n}"), "FILE_CHECK", Same, "factor = 0"},
		{server("real_server 10.0.1.3 80 {\nFILE_CHECK {\ntrack_file load\n}\n}"), "FILE_CHECK", Ignored, ""},
		{server("quorum_up /bin/a\nomega"), "omega", Same, "at_stop = true"},
		{server("real_server 10.0.1.3 80 {\nnotify_up /bin/a\nnotify_down /bin/b root root\n}"), "notify_down", Equivalent, `user = "root"`},
		{server("real_server 10.0.1.3 80 {\nnotify_up /bin/a\n}"), "notify_up", Equivalent, `up   = ["/bin/a"]`},
		{"global_defs {\nlvs_notify_fifo /run/a\nvrrp_notify_fifo /run/b\n}\n" + instance(""), "lvs_notify_fifo", Same, `events = ["service", "server"]`},
		{server("sorry_server 10.0.1.9 8080"), "sorry_server", Same, `sorry_server "10.0.1.9:8080" {}`},
		{server("real_server 10.0.1.3 80 {\nweight 0\nMISC_CHECK {\nmisc_path /a\nmisc_dynamic\n}\n}"), "MISC_CHECK", Differs, "weight {}"},
		{server("lb_kind DR\nsorry_server 10.0.1.9 8080"), "sorry_server", Same, `sorry_server "10.0.1.9" {}`},
		{server("lb_kind DR\nreal_server 10.0.1.3 8080 {\nTCP_CHECK {\n}\nPING_CHECK {\n}\n}"), "TCP_CHECK", Same, "port           = 8080"},
		{server("lb_kind DR\nreal_server 10.0.1.3 8080 {\nTCP_CHECK {\nconnect_port 81\n}\n}"), "connect_port", Same, "port           = 81"},
		{"virtual_server fwmark 7 {\nlb_kind TUN\nreal_server 10.0.1.2 80 {\nHTTP_GET {\nurl {\n}\n}\n}\n}\n", "HTTP_GET", Same, "port           = 80"},
		{server("real_server 10.0.1.3 80 {\ninhibit_on_failure\n}"), "inhibit_on_failure", Same, `real_server "10.0.1.3" { on_failure = "weight" }`},
		{server("inhibit_on_failure\nreal_server 10.0.1.3 80 {\ninhibit_on_failure off\n}"), "inhibit_on_failure", Same, `real_server "10.0.1.3" { on_failure = "remove" }`},
		{server("real_server 10.0.1.3 80 {\ninhibit_on_failure sometimes\n}"), "inhibit_on_failure", Ignored, `real_server "10.0.1.3" {}`},
		{server("inhibit_on_failure"), "inhibit_on_failure", Same, `on_failure = "weight"`},
		{server("protocol UDP\nops"), "ops", Same, "one_packet = true"},
		{server("delay_loop 6\nreal_server 10.0.1.3 80 {\nTCP_CHECK {\nconnect_timeout 10\nretry 2\ndelay_before_retry 3\n}\n}"), "TCP_CHECK", Same, "retry_interval = \"3s\""},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\npath a\nstatus_code 200 301-302\n}\nurl {\npath /b\n}\n}\n}"), "HTTP_GET", Same, `status         = ["200", "301-302"]`},
		{server("real_server 10.0.1.3 80 {\nMISC_CHECK {\nmisc_path \"/c a\"\nmisc_dynamic\n}\n}"), "misc_path", Same, `["/c", "a"]`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex error\nregex_no_match\n}\n}\n}"), "regex_no_match", Same, `body_absent    = true`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex_options caseless ungreedy dotall\nregex a.b\n}\n}\n}"), "regex_options", Same, `body           = "(?is)a.b"`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex a.b\nregex_options extended caseless\n}\n}\n}"), "regex_options", Missing, `body           = "(?i)a.b"`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex (?=x)\nregex_no_match\n}\n}\n}"), "regex_no_match", Ignored, ""},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex OK\nregex_min_offset 100\nregex_max_offset 200\n}\n}\n}"), "regex_min_offset", Same, `body_min_offset = 100`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex OK\nregex_max_offset 200\n}\n}\n}"), "regex_max_offset", Same, `body_max_offset = 200`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex OK\nregex_min_offset 2\nregex_max_offset 1\n}\n}\n}"), "regex_max_offset", Ignored, ""},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex OK\nregex_max_offset 0\n}\n}\n}"), "regex_max_offset", Missing, ""},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\nregex_min_offset 2\n}\n}\n}"), "regex_min_offset", Ignored, ""},
		{server("real_server 10.0.0.9 80 {\n}"), "real_server", Missing, ""},
		{"virtual_server 10.0.0.9 80 {\nlb_algo rr\n}\n", "virtual_server", Ignored, ""},
		{server("real_server 10.0.1.3 80 {\nMISC_CHECK {\n}\n}"), "MISC_CHECK", Ignored, `real_server "10.0.1.3" {}`},
		{server("real_server 10.0.1.3 80 {\nHTTP_GET {\nurl {\ndigest 0123456789abcdef0123456789abcdef\n}\nurl {\ndigest 7\n}\n}\n}"), "digest", Ignored, `digest         = "0123456789abcdef0123456789abcdef"`},
		{"SSL {\ncertificate /a.pem\nkey /b.pem\nca /c.pem\n}\n" + server("real_server 10.0.1.3 80 {\nSSL_GET {\nurl {\n}\n}\n}"), "certificate", Equivalent, `cert_file   = "/a.pem"`},
		{"global_defs {\nvrrp_garp_interval 0\n}\n" + instance(""), "vrrp_garp_interval", Equivalent, ""},
		{"global_defs {\nvrrp_garp_interval 0.001\nvrrp_gna_interval 0.000002\n}\n" + instance(""), "vrrp_garp_interval", Equivalent, "arp_interval = \"1ms\"\n  na_interval  = \"2µs\"\n"},
		{"garp_group {\ninterfaces {\neth0\neth1 eth0\n}\ngarp_interval 0.5\n}\n" + instance(""), "garp_interval", Equivalent, "interfaces   = [\"eth0\", \"eth1\"]\n  arp_interval = \"500ms\"\n"},
		{"garp_group {\ninterface eth0\ngna_interval 0.5\n}\ngarp_group {\ninterface eth0\ngna_interval 1\n}\n" + instance(""), "garp_group", Ignored, "interfaces  = [\"eth0\"]\n  na_interval = \"500ms\"\n"},
		{"garp_group {\ninterface eth0\n}\n" + instance(""), "garp_group", Ignored, ""},
		{"garp_group {\ninterface eth0\ngarp_interval 4000\n}\n" + instance(""), "garp_interval", Differs, `arp_interval = "1h"`},
		{instance("virtual_ipaddress {\n10.0.0.2/24\n}"), "virtual_ipaddress", Same, `address "10.0.0.2/24" {}`},
		{instance("unicast_peer {\n10.0.0.4\n}\nunicast_peer {\n10.0.0.5\n}"), "unicast_peer", Same, `["10.0.0.4", "10.0.0.5"]`},
		{instance("authentication {\nauth_type PASS\nauth_pass a\n}\nauthentication {\nauth_type PASS\nauth_pass b\n}"), "auth_pass", Same, `auth_pass         = "b"`},
		{"global_defs {\nnotification_email { a }\nsmtp_server 10.0.0.9\n}\n" + server(""), "smtp_server", Same, `events = ["server"]`},
		{"global_defs {\nnotification_email { a }\nsmtp_server 10.0.0.9\nsmtp_alert_checker off\n}\n" + server(""), "smtp_server", Ignored, ""},
		{"global_defs {\nnotification_email { a }\nsmtp_server 10.0.0.9\nsmtp_alert_checker\n}\n" + server("") + instance("smtp_alert"), "smtp_alert_checker", Equivalent, `tls  = "none"`},
		{"global_defs {\nnotification_email { a }\nsmtp_server 10.0.0.9\nsmtp_alert_checker off\n}\n" + server("smtp_alert"), "smtp_server", Same, `events = ["service"]`},
		{server("sorry_server 10.0.1.2 80"), "sorry_server", Missing, `real_server "10.0.1.2" {}`},
		{instance("\u00a0priority 7"), "\u00a0priority", Ignored, ""},
		{server("quorum 0"), "quorum", Ignored, "weight = 1"},
		{server("real_server 10.0.1.3 53 {\nDNS_CHECK {\ntype ns\nname example.com\n}\n}"), "DNS_CHECK", Same, `type     = "NS"`},
		{server("real_server 10.0.1.3 53 {\nDNS_CHECK {\ntype DNSKEY\n}\n}"), "type", Differs, `health_check "dns" {`},
		{server("real_server 10.0.1.3 25 {\nSMTP_CHECK {\nconnect_port 27\nhost {\nconnect_ip 10.0.1.4\n}\n}\n}"), "SMTP_CHECK", Same, "port           = 27"},
		{server("real_server 10.0.1.3 25 {\nSMTP_CHECK {\nhelo_name a.example\nhost {\nconnect_port 26\n}\nhost {\nconnect_ip 10.0.1.4\n}\n}\n}"), "host", Same, `address        = "10.0.1.4"`},
		{server("real_server 10.0.1.3 53 {\nUDP_CHECK {\npayload 00 1a\nrequire_reply 0xx1\n}\n}"), "UDP_CHECK", Same, `expect_hex     = "0xx1"`},
		{server("real_server 10.0.1.3 53 {\nUDP_CHECK {\nrequire_reply\nmin_reply_length 9\n}\n}"), "min_reply_length", Equivalent, `(?s)^.{9,255}$`},
		{server("real_server 10.0.1.3 53 {\nPING_CHECK {\nbindto 10.0.0.8\n}\n}"), "PING_CHECK", Same, `health_check "ping" {`},
		{instance("interface a_name_of_16_bytes"), "interface", Ignored, `interface         = "eth0"`},
		{"vrrp_instance V {\nvirtual_router_id 7\ninterface a_name_of_16_bytes\n}\n", "vrrp_instance", Missing, ""},
		{instance("priority {{ PRIORITY }}"), "priority", Differs, ""},
		{instance("#    a  b"), "interface", Same, "#    a  b"},
		{"vrrp_sync_group G {\ngroup {\nV\nW\n}\n}\n" + instance("track_interface {\neth3 weight 5\n}") + "vrrp_instance W {\ninterface eth1\nvirtual_router_id 7\n}\n", "track_interface", Same, `track_interface "eth3" { weight = 5 }`},
		{"vrrp_sync_group G {\ngroup {\nV\nW\n}\ntrack_interface {\neth3 weight 4\n}\n}\n" + instance("track_interface {\neth3 weight -5 reverse\n}") + "vrrp_instance W {\ninterface eth1\nvirtual_router_id 7\n}\n", "track_interface", Same, `track_interface "eth3" { weight = 4 }`},
		{"vrrp_sync_group G {\ngroup {\nV\nW\n}\ntrack_interface {\neth0\neth3\n}\n}\n" + instance("") + "vrrp_instance W {\ninterface eth1\nvirtual_router_id 7\n}\n", "track_interface", Equivalent, `track_interface "eth3" {}`},
		{"virtual_server_group G {\n10.0.0.1-2 80\n}\nvirtual_server group G {\nquorum_up /bin/a\nreal_server 10.0.1.2 80 {\n}\n}\n", "quorum_up", Differs, `up   = ["/bin/a"]`},
		{"virtual_server_group G {\n10.0.0.1-3 80\nfwmark 7\nx y\n}\nvirtual_server group G {\nreal_server 10.0.1.2 80 {\n}\n}\n", "x", Ignored, `    "10.0.0.3:80",`},
		// keepalived cuts off what follows an address.
		{instance("unicast_src_ip 10.0.0.3/24\nunicast_peer {\n10.0.0.4/24\n10.0.0.5-9\n10.0.0.4\n}"), "unicast_peer", Equivalent, `["10.0.0.4", "10.0.0.5"]`},
		{instance("unicast_src_ip 10.0.0.3/24\nunicast_peer {\n10.0.0.4\n}"), "unicast_src_ip", Equivalent, `source_address    = "10.0.0.3"`},
		{instance("unicast_peer {\n10.0.0.4\n10.0.0.4/8\n}"), "unicast_peer", Ignored, `["10.0.0.4"]`},
		{instance("mcast_src_ip 10.0.0.3/x"), "mcast_src_ip", Equivalent, `source_address    = "10.0.0.3"`},
		{instance("mcast_dst_ip 224.0.0.99/4"), "mcast_dst_ip", Equivalent, `multicast_address = "224.0.0.99"`},
		{"vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nunicast_src_ip fd00::3/64\nvirtual_ipaddress {\nfd00::1/64\n}\n}\n", "unicast_src_ip", Equivalent, `source_address    = "fd00::3"`},
		{instance("unicast_peer {\nPEER\n}"), "unicast_peer", Ignored, "# unicast_peer: No peer"},
		{instance("unicast_fault_no_peer\nunicast_peer {\nPEER\n}"), "vrrp_instance", Missing, "# keepalived's vrrp_instance"},
		{"global_defs {\nvrrp_mcast_group4 224.0.0.98/4\n}\n" + instance(""), "vrrp_mcast_group4", Equivalent, `multicast_address = "224.0.0.98"`},
		{"global_defs {\nvrrp_mcast_group4 10.0.0.1\n}\n" + instance(""), "vrrp_mcast_group4", Ignored, ""},
		{"global_defs {\nlvs_sync_daemon eth1 V group 224.0.0.82/8\n}\n" + instance(""), "lvs_sync_daemon", Equivalent, `group     = "224.0.0.82"`},
		{"global_defs {\nlvs_sync_daemon eth1 V group 10.0.0.1\n}\n" + instance(""), "lvs_sync_daemon", Equivalent, `interface = "eth1"`},
		{"virtual_server 10.0.0.9/32 80 {\nprotocol TCP\nreal_server 10.0.1.2-7 80 {\n}\n}\n", "virtual_server", Equivalent, `virtual_service "10.0.0.9:80"`},
		{"virtual_server 10.0.0.9-20 80 {\nprotocol TCP\nreal_server 10.0.1.2/24 80 {\n}\n}\n", "real_server", Equivalent, `real_server "10.0.1.2" {}`},
		{server("sorry_server 10.0.1.9/24 80"), "sorry_server", Equivalent, `sorry_server "10.0.1.9" {}`},
		{server("real_server 10.0.1.3 80 {\nTCP_CHECK {\nconnect_ip 10.0.1.4/24\nbindto 10.0.0.8/24\n}\n}"), "connect_ip", Equivalent, `address        = "10.0.1.4"`},
		{server("real_server 10.0.1.3 80 {\nTCP_CHECK {\nbindto 10.0.0.8/24\n}\n}"), "bindto", Equivalent, `address = "10.0.0.8"`},
		{"virtual_server_group G {\n10.0.0.1/x 80\n10.0.0.2 80\n}\nvirtual_server group G {\nreal_server 10.0.1.2 80 {\n}\n}\n", "10.0.0.1/x", Ignored, `"10.0.0.2:80"`},
	} {
		source, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(c.text)})
		if err != nil {
			t.Fatal(err)
		}
		r := Convert([]Source{{Config: source}}, Options{Tables: map[string]uint32{"named": 100}})
		valid(t, r.HCL)
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Word == c.word && f.Fate == c.fate })
		if i < 0 {
			t.Errorf("%s\n%s is not %s: %+v", c.text, c.word, c.fate, r.Findings)
		}
		if !strings.Contains(string(r.HCL), c.has) {
			t.Errorf("%s\nbecame\n%s\nwant %s", c.text, r.HCL, c.has)
		}
	}
}

// TestManyServers: the time of an import grows with the number of real servers, not with its square.
func TestManyServers(t *testing.T) {
	var b strings.Builder
	b.WriteString("virtual_server 10.0.0.9 80 {\n")
	const servers = 8000
	for i := range servers {
		fmt.Fprintf(&b, "real_server 10.1.%d.%d 80 {\nTCP_CHECK {\n}\n}\n", i/256, i%256)
	}
	b.WriteString("}\n")
	var sources []Source
	for _, node := range []string{"lb1", "lb2"} {
		c, err := keepalived.Read("f", keepalived.Options{Node: node, Files: text(b.String())})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{node, c})
	}
	if r := Convert(sources, Options{}); strings.Count(string(r.HCL), "real_server") != servers {
		t.Errorf("%d bytes", len(r.HCL))
	}
}
