package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// imported converts a configuration and loads the result.
func imported(t *testing.T, in string) (*config.Config, *Result) {
	t.Helper()
	r := convertText(t, in)
	cfg, diags := config.LoadText("lvs-ha.hcl", r.HCL, config.Options{Node: "lb1"})
	if cfg == nil {
		t.Fatalf("%v\n%s", diags.Err(), r.HCL)
	}
	return cfg, r
}

func lossy(r *Result) (all []Finding) {
	for _, f := range r.Findings {
		if f.Fate.Lossy() {
			all = append(all, f)
		}
	}
	return all
}

func addressesOf(v config.VRRP) string {
	var all []string
	for _, a := range v.Addresses {
		all = append(all, a.Prefix.String())
	}
	return strings.Join(all, " ")
}

// Only the element of a list that lvs-ha refuses is left out, and its finding names it.
func TestRefusedElement(t *testing.T) {
	const two = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n" +
		"vrrp_instance B {\ninterface eth1\nvirtual_router_id 2\nvirtual_ipaddress {\n10.0.0.2/24\n10.0.0.1/24 # both\n10.0.0.3/24\n10.0.0.0/24\n}\n}\n"
	cfg, r := imported(t, two)
	if got := addressesOf(cfg.VRRP[1]); got != "10.0.0.2/24 10.0.0.3/24" {
		t.Errorf("B has %s", got)
	}
	got := lossy(r)
	if len(got) != 2 || got[0].Line != 13 || got[1].Line != 15 || !strings.Contains(got[0].Text, "Left out: 10.0.0.1/24.") || got[0].Block != "vrrp_instance" {
		t.Errorf("findings %+v", got)
	}
	if n := strings.Count(string(r.HCL), "both"); n != 1 {
		t.Errorf("the comment is there %d times:\n%s", n, r.HCL)
	}
}

// A peer that is refused does not make multicast of unicast, nor an address another family.
func TestRefusedTransport(t *testing.T) {
	instance := func(peers string) string {
		return "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nunicast_peer {\n" + peers + "\n}\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n"
	}
	cfg, r := imported(t, instance("10.0.0.1\n10.0.0.3"))
	if got := fmt.Sprint(cfg.VRRP[0].UnicastPeers); got != "[10.0.0.3]" || len(lossy(r)) != 1 || lossy(r)[0].Line != 5 {
		t.Errorf("peers %s, findings %+v", got, lossy(r))
	}
	left := func(in, why string) {
		t.Helper()
		cfg, r := imported(t, in)
		found := slices.ContainsFunc(r.Findings, func(f Finding) bool {
			return f.Word == "vrrp_instance" && f.Fate == Missing && strings.Contains(f.Text, why)
		})
		if n := len(cfg.VRRP); !found || n > 0 && cfg.VRRP[n-1].Name != "first" {
			t.Errorf("%s\nbecame\n%s", in, r.HCL)
		}
	}
	left(instance("10.0.0.1"), "multicast")
	const six = "vrrp_instance first {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n2001:db8::1/64\n}\n}\n"
	left(six+"vrrp_instance B {\ninterface eth1\nvirtual_router_id 2\nvirtual_ipaddress {\n2001:db8::1/64\n}\n}\n", "family")
	left(six+"vrrp_instance B {\ninterface eth1\nvirtual_router_id 2\nvirtual_ipaddress {\n2001:db8::1/64 dev eth2\n}\n}\n", "family")
}

// What lvs-ha refuses of one node's list is left out there, and the other node's list stays.
func TestRefusedOfOneNode(t *testing.T) {
	var sources []Source
	for node, peers := range map[string]string{"lb1": "10.0.0.12\n10.0.0.13", "lb2": "10.0.0.11\n10.0.0.1"} {
		in := "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nunicast_peer {\n" + peers + "\n}\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n"
		c, err := keepalived.Read(node+".conf", keepalived.Options{Node: node, Files: text(in)})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{node, c})
	}
	slices.SortFunc(sources, func(a, b Source) int { return strings.Compare(a.Node, b.Node) })
	r := Convert(sources, Options{})
	for node, want := range map[string]string{"lb1": "[10.0.0.12 10.0.0.13]", "lb2": "[10.0.0.11]"} {
		cfg, diags := config.LoadText("lvs-ha.hcl", r.HCL, config.Options{Node: node})
		if cfg == nil {
			t.Fatal(diags.Err())
		}
		if got := fmt.Sprint(cfg.VRRP[0].UnicastPeers); got != want {
			t.Errorf("%s has the peers %s, want %s\n%s", node, got, want, r.HCL)
		}
	}
	if got := lossy(r); len(got) != 1 || got[0].Node != "lb2" || got[0].File != "lb2.conf" || got[0].Line != 6 {
		t.Errorf("findings %+v", got)
	}
}

// A group of both families has no mask that fits them: nothing is said to be the same.
func TestMaskForBothFamilies(t *testing.T) {
	const in = "virtual_server_group g {\nfd00::1 80\n10.0.0.1 80\n}\nvirtual_server group g {\nprotocol TCP\npersistence_granularity 255.255.255.0\nreal_server 10.1.0.1 80 {\n}\n}\n"
	cfg, r := imported(t, in)
	if got := lossy(r); len(got) == 0 || got[0].Line != 7 || got[0].Fate != Missing {
		t.Errorf("findings %+v", got)
	}
	for _, s := range cfg.Services {
		if s.PersistenceTimeout > 0 {
			t.Errorf("%s is persistent", s.Name)
		}
	}
}

// Each virtual_service that a group becomes has the group's line in its findings.
func TestRefusedMarkOfAGroup(t *testing.T) {
	const in = "virtual_server_group g {\n10.0.0.1 80\nfwmark 9\n}\nvirtual_server fwmark 9 {\nreal_server 10.1.0.1 80 {\n}\n}\nvirtual_server group g {\nprotocol TCP\nreal_server 10.1.0.1 80 {\n}\n}\n"
	_, r := imported(t, in)
	if got := lossy(r); len(got) != 1 || got[0].Line != 9 {
		t.Errorf("findings %+v", got)
	}
}
