package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSuspects: what keepalived ignores, but the author of the file probably did not want ignored, is marked.
func TestSuspects(t *testing.T) {
	instance := func(lines string) string {
		return "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1\n}\n" + lines + "\n}\n"
	}
	for _, c := range []struct {
		in, word, text string
		suspect        bool
	}{
		{instance("virtual_ipaddress {\nVIP\n}"), "virtual_ipaddress", `"VIP" is not an address.`, true},
		{instance("unicast_peer {\n10.0.0.2\nPEER\n}"), "unicast_peer", `"PEER"`, true},
		{instance("track_script {\nabsent\n}"), "track_script", "There is no vrrp_script absent.", true},
		{instance("vrrp_sync_group G {\ngroup {\nV\n}\n}"), "vrrp_sync_group", "does not know this word here", true}, // a } is missing
		{instance("nat_mask 255.255.255.0"), "nat_mask", "does not know this word here", false},
		{instance("notify_mastre /a"), "notify_mastre", "notify_master was probably meant.", true},
		{"global_defs {\ngarp_master_repeat 2\n}\n" + instance(""), "garp_master_repeat", "vrrp_garp_master_repeat was probably meant.", true},
		{instance("STATE {{ x }}"), "STATE", "ignores the line.", false}, // of a template
		{"vrrp_script s {\nscript \"/a b | /c\"\n}\n" + instance(""), "script", "keepalived runs no shell: | is passed", true},
		{instance("unicast_peer {\nPEER\n}"), "unicast_peer", "Without peers, keepalived uses multicast", true},
		{instance("priority"), "priority", "It has no value; keepalived uses 100.", true},
		{instance("unicast_src_ip"), "unicast_src_ip", noValue, true},
		{instance("preempt_delay"), "preempt_delay", noValue, true},
		{instance("priority HIGH"), "priority", "keepalived uses 100.", true},
		{instance("}"), "}", "No block ends here", true},
		{instance("}\n}"), "}", "No block ends here", true}, // the first one
		{instance("") + instance(""), "vrrp_instance", "the name is used twice", true},
		{"vrrp_instance V extra {\n}\n" + instance(""), "vrrp_instance", `"extra" follows`, true},
		{"vrrp_sync_group G extra {\ngroup {\nV\n}\n}\n" + instance(""), "vrrp_sync_group", `"extra" follows`, true},
		{"vrrp_sync_group G {\ngroup {\nV\nW\n}\n}\n" + instance(""), "vrrp_sync_group", "There is no vrrp_instance W.", true},
		{"virtual_server VIP 80 {\nreal_server 10.0.1.2 80 {\n}\n}\n" + instance(""), "virtual_server", "no valid address", true},
		{"virtual_server VIP 80 {\nreal_server RIP 80 {\n}\n}\n" + instance(""), "real_server", "no valid address", true},
		{"virtual_server 10.0.0.9 80 {\nreal_server RIP 80 {\n}\n}\n" + instance(""), "virtual_server", "none of its real servers", true},
		{"virtual_server 10.0.0.9 80 dev eth0 {\nreal_server 10.0.1.2 80 weight 5 {\n}\n}\n", "virtual_server", `only two words and ignores "dev eth0".`, true},
		{"virtual_server 10.0.0.9 80 {\nreal_server 10.0.1.2 80 weight 5 {\n}\n}\n", "real_server", `ignores "weight 5".`, true},
		{"global_defs {\nsmtp_alert\nsmtp_server **\nnotification_email {\na@b.example\n}\n}\n" + instance(""), "smtp_server", `"**" is not the name`, true},
		{"virtual_server 10.0.0.9 80 {\nlb_kind nat\nreal_server 10.0.1.2 80 {\n}\n}\n", "lb_kind", `does not know the method "nat"`, true},
		{"virtual_server 10.0.0.9 80 {\nreal_server 10.0.1.2 80 {\nMISC_CHECK {\n}\n}\n}\n", "MISC_CHECK", "no misc_path", true},
		{"vrrp_script s {\ninterval 2\n}\n" + instance(""), "vrrp_script", "no script", true},
		{instance("lvs_sync_daemon_interface eth0") + "vrrp_instance W {\ninterface eth0\nvirtual_router_id 8\nlvs_sync_daemon_interface eth1\n}\n",
			"lvs_sync_daemon_interface", "keepalived uses the first one, in line 7.", false},
		{"include /absent/*.conf\n" + instance(""), "include", "No file could be read: /absent/*.conf: ", false},
	} {
		r := convertText(t, c.in)
		valid(t, r.HCL)
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Word == c.word && strings.Contains(f.Text, c.text) })
		if i < 0 {
			t.Errorf("%s\nhas no finding %q: %+v", c.in, c.text, r.Findings)
		} else if f := r.Findings[i]; f.Suspect != c.suspect {
			t.Errorf("%s\n%+v, want suspect %v", c.in, f, c.suspect)
		}
		if c.word == "smtp_server" && strings.Contains(string(r.HCL), "notify_email") {
			t.Errorf("it became\n%s", r.HCL)
		}
	}
}

// TestInstancesThatKeepalivedDoesNotRun are left out.
func TestInstancesThatKeepalivedDoesNotRun(t *testing.T) {
	const head = "interface eth0\nvirtual_router_id 7\n"
	for in, runs := range map[string]bool{
		"vrrp_instance V {\n" + head + "version 3\n}\n":                                                                false,
		"vrrp_instance V {\n" + head + "version 3\nvirtual_ipaddress {\nVIP\n}\n}\n":                                   false,
		"vrrp_instance V {\n" + head + "version 3\nvirtual_ipaddress_excluded {\n10.0.0.1\n}\n}\n":                     false,
		"vrrp_instance V {\n" + head + "mcast_src_ip 10.0.0.2\nversion 3\nvirtual_ipaddress {\nfd00::1\n}\n}\n":        false,
		"vrrp_instance V {\n" + head + "version 3\nno_virtual_ipaddress\n}\n":                                          true,
		"vrrp_instance V {\n" + head + "version 3\nvirtual_ipaddress {\n10.0.0.1\n}\n}\n":                              true,
		"vrrp_instance V {\n" + head + "}\n":                                                                           true,
		"global_defs {\nvrrp_version 3\n}\nvrrp_instance V {\n" + head + "}\n":                                         false,
		"vrrp_instance V extra {\n" + head + "virtual_ipaddress {\n10.0.0.1\n}\n}\n":                                   false,
		"vrrp_instance V extra {\n" + head + "}\nvrrp_instance V {\n" + head + "virtual_ipaddress {\n10.0.0.1\n}\n}\n": true,
	} {
		r := convertText(t, in)
		valid(t, r.HCL)
		if got := strings.Contains(string(r.HCL), `vrrp "V"`); got != runs {
			t.Errorf("%s\nbecame\n%s", in, r.HCL)
		}
	}
}

// TestGroupOfOne: the commands of a group with one instance become the instance's, unless it has its own.
func TestGroupOfOne(t *testing.T) {
	const instance = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nnotify_fault /bin/own\n}\n"
	const group = "vrrp_sync_group G {\ngroup {\nV\n}\nnotify_master /bin/master # up\nnotify_fault /bin/fault\nnotify /bin/all\n}\n"
	for _, in := range []string{instance + group, group + instance} {
		r := convertText(t, in)
		valid(t, r.HCL)
		for text, has := range map[string]bool{`master = ["/bin/master"] # up`: true, `fault  = ["/bin/own"]`: true, `["/bin/fault"]`: false, `["/bin/all"]`: false} {
			if strings.Contains(string(r.HCL), text) != has {
				t.Errorf("%s\nbecame\n%s\n%s: want %v", in, r.HCL, text, has)
			}
		}
		for word, fate := range map[string]Fate{"notify_master": Same, "notify_fault": Missing, "notify": Missing} {
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool {
				return f.Word == word && f.Block == "vrrp_sync_group" && f.Fate == fate
			}) {
				t.Errorf("%s is not %s: %+v", word, fate, r.Findings)
			}
		}
	}
}

// TestMailAddresses: addresses that are none cost neither the others nor the mail.
func TestMailAddresses(t *testing.T) {
	const head = "global_defs {\nsmtp_alert\nsmtp_server 10.0.0.25\nnotification_email_from %s\nnotification_email {\n%s}\n}\n"
	for _, c := range []struct{ from, to, has, word, text string }{
		{"lb@b.example", "[a]\na@b.example\n", `to   = ["a@b.example"]`, "notification_email", `"[a]" is not a mail address.`},
		{"[lb]", "a@b.example\n", `from = "keepalived@localhost"`, "notification_email_from", `"[lb]" is not a mail address; keepalived@localhost is used.`},
		{"lb@b.example", "[a]\n", "", "smtp_server", "No recipient is a mail address."},
	} {
		r := convertText(t, fmt.Sprintf(head, c.from, c.to)+"vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\n}\n")
		valid(t, r.HCL)
		if !strings.Contains(string(r.HCL), c.has) {
			t.Errorf("it became\n%s", r.HCL)
		}
		if lossy := slices.DeleteFunc(r.Findings, func(f Finding) bool { return !f.Fate.Lossy() }); !slices.ContainsFunc(lossy, func(f Finding) bool {
			return f.Word == c.word && f.Text == c.text
		}) || len(lossy) > 3 {
			t.Errorf("%+v", lossy)
		}
	}
}
