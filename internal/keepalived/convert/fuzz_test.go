package convert

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

type text string

func (s text) Read(string) ([]byte, error) { return []byte(s), nil }
func (text) Glob(string) ([]string, error) { return nil, nil }

// FuzzConvert: what comes out is HCL, whatever goes in.
func FuzzConvert(f *testing.F) {
	for _, s := range []string{
		"vrrp_instance V { interface e virtual_router_id 5 virtual_ipaddress { 10.0.0.1/24 dev eth0 label a } # c\n track_interface { e } }",
		"vrrp_script \"s${x}\" { script \"a 'b' \\x41 %{y}\" }\nvrrp_sync_group G { group { V W } notify \"a b\" u g }\n",
		"global_defs { smtp_alert notification_email { a } smtp_server x lvs_timeouts tcp 5 lvs_sync_daemon eth0 V id 3 }\n",
		"vrrp_instance V { interface e virtual_router_id 5 auth_hmac { key 1 file:x active_key 1 } unicast_peer { ::1 min_ttl 3 } }",
		"virtual_server_group G {\n10.0.0.1-3 80\nfwmark 7\n}\nvirtual_server group G { lb_algo sh sh-port quorum 2\nreal_server ::1 8 { weight 2 TCP_CHECK { bindto ::2 } HTTP_GET { url { path a } url { path b } } SSL_GET { sni_name x url { } } MISC_CHECK { misc_path \"a b\" misc_dynamic } } }",
		"vrrp_instance V { interface e virtual_router_id 5\n@lb1 virtual_ipaddress {\n#a\n10.0.0.1 # b\n10.0.0.22 # c\n}\n@lb2 virtual_ipaddress { 10.0.0.1 }\n}",
		"vrrp_script s { script \xff${ }",
		"$A=1\n$B=eth0 # c\n$C=10.0.0\n\n$D=x y\nvrrp_instance V { interface $B virtual_router_id ${A} virtual_ipaddress { ${C}.1 dev $B\n${C}.${A} } notify \"/a ${D} ${A}\" }",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(s)})
		if err != nil {
			t.Fatal(err)
		}
		other, err := keepalived.Read("f", keepalived.Options{Node: "lb2", Files: text(s)})
		if err != nil {
			t.Fatal(err)
		}
		r := Convert([]Source{{"lb1", c}, {"lb2", other}}, Options{})
		if _, diags := hclsyntax.ParseConfig(r.HCL, "out.hcl", hcl.InitialPos); diags.HasErrors() {
			t.Fatalf("%v\n%s", diags, r.HCL)
		}
		if canonical := hclwrite.Format(r.HCL); string(canonical) != string(r.HCL) {
			t.Fatalf("not in the canonical layout:\n%s\nwant\n%s", r.HCL, canonical)
		}
	})
}
