package config

import (
	"strings"
	"testing"
)

// A link-local address belongs to an interface: others may have the same one.
func TestLinkLocalAddresses(t *testing.T) {
	block := func(name, iface, rest string) string {
		return "vrrp \"" + name + "\" {\n  interface         = \"" + iface + "\"\n  virtual_router_id = " + strings.Trim(name, "v") + "\n  " + rest + "\n}\n"
	}
	static := func(iface string) string {
		return "static_address \"fe80::1/64\" {\n  interface = \"" + iface + "\"\n}\n"
	}
	const list = `addresses = ["fe80::1/64"]`
	for _, c := range []struct{ name, text, want string }{
		{"on two interfaces", block("v1", "eth0", list) + block("v2", "eth1", list), ""},
		{"on one interface", block("v1", "eth0", list) + block("v2", "eth0", list), "Duplicate virtual address"},
		{"a macvlan is on its interface's link", block("v1", "eth0", list) + block("v2", "eth0", list+"\n  vmac {}"), "fe80::1 on eth0"},
		{"an address's own interface", block("v1", "eth0", list) + block("v2", "eth1", `address "fe80::1/64" { interface = "eth0" }`), "Duplicate virtual address"},
		{"others only once", block("v1", "eth0", `addresses = ["fd00::1/64"]`) + block("v2", "eth1", `addresses = ["fd00::1/64"]`), "Duplicate virtual address"},
		{"IPv4 only once", block("v1", "eth0", `addresses = ["169.254.0.1/24"]`) + block("v2", "eth1", `addresses = ["169.254.0.1/24"]`), "Duplicate virtual address"},
		{"excluded, on another interface of the instance", block("v1", "eth0", list+"\n  address \"fe80::1/64\" {\n    interface = \"eth1\"\n    excluded = true\n  }"), ""},
		{"advertised twice", block("v1", "eth0", list+"\n  address \"fe80::1/64\" {\n    interface = \"eth1\"\n  }"), "listed twice"},
		{"a peer is on the link", block("v1", "eth0", list+"\n  unicast_peers = [\"fe80::1\"]"), "Invalid unicast_peers"},
		{"static, on two interfaces", static("eth0") + static("eth1") + block("v1", "eth2", list), ""},
		{"static and virtual", static("eth0") + block("v1", "eth0", list), "Duplicate address"},
	} {
		cfg, diags := LoadText("lvs-ha.hcl", []byte(c.text), Options{Node: "lb1"})
		got := ""
		if err := diags.Err(); err != nil {
			got = err.Error()
		}
		if c.want == "" && cfg == nil || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", c.name, got, c.want)
		}
	}
}
