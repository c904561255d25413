package convert

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var spaces = regexp.MustCompile(" +")

// TestLooseNumbers: keepalived warns about what follows a number and uses the number.
func TestLooseNumbers(t *testing.T) {
	instance := func(lines string) string {
		return "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1/24\n}\n" + lines + "\n}\n"
	}
	check := func(lines string) string {
		return "virtual_server 10.0.0.9 80 {\nprotocol TCP\nreal_server 10.0.1.2 80 {\nTCP_CHECK {\n" + lines + "\n}\n}\n}\n"
	}
	server := func(lines string) string {
		return "virtual_server 10.0.0.9 80 {\nprotocol TCP\nreal_server 10.0.1.2 80 {\n" + lines + "\n}\n}\n"
	}
	const script = "vrrp_script s {\nscript /bin/true\n"
	for _, c := range []struct {
		in, word string
		fate     Fate
		has      string // in the result
	}{
		{script + "weight -20;\n}\n", "weight", Equivalent, "weight  = -20"},
		{script + "fall 3x\nrise 2,\n}\n", "fall", Equivalent, "fall    = 3"},
		{script + "interval 2s\n}\n", "interval", Differs, `interval = "2s"`},
		{script + "}\n" + instance("track_script {\ns weight 5x\n}"), "track_script", Equivalent, `track "s" { weight = 5 }`},
		{instance("version 3."), "version", Same, "version           = 3"},
		{instance("garp_master_delay 2s"), "garp_master_delay", Equivalent, `repeat_after = "2s"`},
		{instance("garp_master_delay"), "garp_master_delay", Ignored, ""},
		{instance("virtual_ipaddress {\n10.0.0.2/33 dev eth1\n}"), "virtual_ipaddress", Equivalent, `address "10.0.0.2/32"`},
		{instance("virtual_ipaddress {\n10.0.0.2/024 dev eth1\n}"), "virtual_ipaddress", Same, `address "10.0.0.2/24"`},
		{instance("virtual_ipaddress {\n10.0.0.2/24; dev eth1\n}"), "virtual_ipaddress", Equivalent, `address "10.0.0.2/24"`},
		{instance("priority 120,"), "priority", Ignored, "interface"}, // keepalived insists on this one
		{server("weight 10%"), "weight", Equivalent, "weight = 10"},
		{server("weight many"), "weight", Equivalent, "weight = 0"},
		{server("weight 3\nweight -1"), "weight", Same, `real_server "10.0.1.2" { weight = 3 }`},
		{server("weight -1\n}\nweight 2\nweight 0\nreal_server 10.0.1.3 80 {"), "weight", Same, `real_server "10.0.1.2" { weight = 2 }`},
		{server("weight -1"), "weight", Ignored, `real_server "10.0.1.2" {}`},
		{server("delay_loop 10s\nTCP_CHECK {\n}"), "delay_loop", Differs, `interval = "10s"`},
		{server("retry 2x\nTCP_CHECK {\n}"), "retry", Ignored, "fall     = 2"}, // insists
		{server("delay_loop soon\nTCP_CHECK {\n}"), "delay_loop", Ignored, `interval = "1m"`},
		{check("connect_timeout 3s"), "connect_timeout", Differs, `timeout  = "3s"`},
		{check("retry 2x"), "retry", Equivalent, "fall           = 3"},
		{check("retry -1"), "retry", Ignored, "fall     = 2"},
		{check("connect_port 81x"), "connect_port", Equivalent, "port     = 81"},
		{check("connect_port 65536"), "connect_port", Ignored, `health_check "tcp" {`},
		{check("delay_before_retry 2s"), "delay_before_retry", Differs, `retry_interval = "2s"`},
		{server("MISC_CHECK {\nmisc_path /c\nmisc_timeout 4s\n}"), "misc_timeout", Equivalent, `timeout  = "4s"`},
		{server("quorum 1\n}\nquorum 2x\nreal_server 10.0.1.3 80 {"), "quorum", Equivalent, "weight = 2"},
		{"virtual_server fwmark 7x {\nreal_server 10.0.1.2 80 {\n}\n}\n", "virtual_server", Equivalent, "mark       = 7"},
		{"virtual_server 10.0.0.9 80, {\nreal_server 10.0.1.2 80 {\n}\n}\n", "virtual_server", Equivalent, `address = "10.0.0.9:80"`},
		{"virtual_server 10.0.0.9 80 {\nreal_server 10.0.1.2 8080x {\n}\n}\n", "real_server", Equivalent, `real_server "10.0.1.2:8080" {}`},
		{check("fwmark 7x"), "fwmark", Equivalent, "mark = 7"},
	} {
		r := convertText(t, c.in)
		valid(t, r.HCL)
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Word == c.word && f.Fate == c.fate })
		if i < 0 {
			t.Errorf("%s\n%s is not %s: %+v", c.in, c.word, c.fate, r.Findings)
		}
		if !strings.Contains(spaces.ReplaceAllString(string(r.HCL), " "), spaces.ReplaceAllString(c.has, " ")) {
			t.Errorf("%s\nbecame\n%s\nwant %s", c.in, r.HCL, c.has)
		}
	}
}
