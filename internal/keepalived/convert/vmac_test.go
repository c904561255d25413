package convert

import (
	"slices"
	"strings"
	"testing"
)

// A link-local address may be on several interfaces.
func TestLinkLocalOnSeveralInterfaces(t *testing.T) {
	cfg, r := imported(t, "vrrp_instance A {\ninterface eth0\nuse_vmac\nvirtual_router_id 1\nvirtual_ipaddress {\nfe80::1\n2001:db8:1::1/64\n}\n}\n"+
		"vrrp_instance B {\ninterface eth1\nuse_vmac\nvirtual_router_id 1\nvirtual_ipaddress {\nfe80::1\n2001:db8:2::1/64\n}\n"+
		"virtual_ipaddress_excluded {\nfe80::1 dev eth2\nfe80::1 dev eth1\n10.0.0.9 dev eth1\n}\n}\n")
	if len(lossy(r)) != 1 || lossy(r)[0].Word != "virtual_ipaddress_excluded" || !strings.Contains(lossy(r)[0].Text, "10.0.0.9") {
		t.Errorf("findings %+v", lossy(r))
	}
	a, b := addressesOf(cfg.VRRP[0]), addressesOf(cfg.VRRP[1])
	if a != "fe80::1/128 2001:db8:1::1/64" || b != "fe80::1/128 2001:db8:2::1/64 fe80::1/128" {
		t.Errorf("A has %s, B has %s\n%s", a, b, r.HCL)
	}
}

// keepalived puts an address on the instance's own interface on the VMAC.
func TestVMACOfOwnInterface(t *testing.T) {
	for _, use := range []string{"use_vmac", "use_vmac vip0"} {
		name := "vrrp.1"
		if use != "use_vmac" {
			name = "vip0"
		}
		cfg, r := imported(t, "vrrp_instance A {\ninterface eth0\n"+use+"\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1/24 dev eth0\n10.0.0.2/24\n10.0.0.3/24 dev "+name+"\n10.0.0.4/24 dev eth1\n}\n}\n")
		v := cfg.VRRP[0]
		var on []string
		for _, a := range v.Addresses {
			on = append(on, a.Interface)
		}
		if len(lossy(r)) > 0 || v.VMAC == nil || v.VMAC.Interface != name || !slices.Equal(on, []string{"", "", "", "eth1"}) || len(v.TrackInterfaces) != 1 {
			t.Errorf("%s: on %q, tracks %v, findings %+v\n%s", use, on, v.TrackInterfaces, lossy(r), r.HCL)
		}
	}
	cfg, r := imported(t, "vrrp_instance A {\ninterface eth0\nuse_vmac\nvirtual_router_id 1\nunicast_peer {\n10.0.0.2\n}\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n")
	if len(lossy(r)) > 0 || !cfg.VRRP[0].VMAC.XmitBase {
		t.Errorf("keepalived sends unicast adverts from the interface below: %+v\n%s", lossy(r), r.HCL)
	}
}
