package keepalived

import "testing"

func TestMeant(t *testing.T) {
	for _, c := range []struct {
		in   *block
		word string
		want string
	}{
		{grammar, "vrrp_instanse", "vrrp_instance"},
		{grammar, "virtual_sever", "virtual_server"},
		{grammar, "VRRP_SCRIPT", "vrrp_script"},
		{grammar, "vrrp_thing", ""},
		{instance, "prioriyt", "priority"}, // two letters swapped
		{instance, "virtual_ipadress", "virtual_ipaddress"},
		{instance, "notify_mastre", "notify_master"},
		{instance, "stat", ""}, // too short
		{instance, "nat_mask", ""},
		{globalDefs, "garp_master_delay", "vrrp_garp_master_delay"},
		{globalDefs, "router-id", "router_id"},
		{globalDefs, "lvs_id", ""},
		{virtualServer, "syn_proxy", ""},
		{realServer, "tcp_check", "TCP_CHECK"},
		{realServer.words["TCP_CHECK"], "nb_get_retry", ""},
		{realServer.words["TCP_CHECK"], "conect_timout", "connect_timeout"},
	} {
		if got := c.in.meant(c.word); got != c.want {
			t.Errorf("%s: %q, want %q", c.word, got, c.want)
		}
	}
}
