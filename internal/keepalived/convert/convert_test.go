package convert

import (
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
		if lvs[block] {
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

var lvs = map[string]bool{
	"virtual_server": true, "real_server": true, "SSL": true, "bfd_instance": true, "track_group": true, "garp_group": true, "MISC_CHECK": true, "SMTP_CHECK": true,
	"TCP_CHECK": true, "PING_CHECK": true, "UDP_CHECK": true, "HTTP_GET": true, "SSL_GET": true, "DNS_CHECK": true, "FILE_CHECK": true,
	"BFD_CHECK": true, "host": true, "url": true,
}

func valid(t *testing.T, hcl []byte) {
	t.Helper()
	if string(hclwrite.Format(hcl)) != string(hcl) {
		t.Error("it is not in the canonical layout")
	}
	_, diags := config.LoadText("lvs-ha.hcl", hcl, config.Options{Node: "lb1"})
	if diags.HasErrors() {
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

// TestPair converts the two files of a pair to one.
func TestPair(t *testing.T) {
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
	for _, c := range []struct {
		text, word string
		fate       Fate
		has        string // in the result
	}{
		{instance("nopreempt"), "nopreempt", Same, "preempt           = false"},
		{instance("state MASTER\nnopreempt"), "nopreempt", Ignored, ""},
		{instance("state MASTER"), "state", Equivalent, "priority          = 255"},
		{instance("priority 300"), "priority", Ignored, "priority          = 100"},
		{instance("advert_int 0.4"), "advert_int", Ignored, `advertise_interval = "1s"`},
		{instance("version 3\nadvert_int 0.25"), "advert_int", Same, `advertise_interval = "250ms"`},
		{instance("authentication {\nauth_type PASS\nauth_pass 123456789\n}"), "auth_pass", Equivalent, `auth_pass         = "12345678"`},
		{instance("version 3\nauthentication {\nauth_type PASS\nauth_pass 1\n}"), "auth_pass", Ignored, ""},
		{instance("authentication {\nauth_type AH\nauth_pass 1\n}"), "auth_type", Missing, "# keepalived's auth_type"},
		{instance("no_such_word 3"), "no_such_word", Ignored, ""},
		{instance("track_script {\nabsent\n}"), "track_script", Ignored, ""},
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
	} {
		source, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(c.text)})
		if err != nil {
			t.Fatal(err)
		}
		r := Convert([]Source{{Config: source}}, Options{})
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
