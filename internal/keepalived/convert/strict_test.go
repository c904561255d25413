package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStrict: what keepalived's strict mode changes in an instance, and what the result has of it.
func TestStrict(t *testing.T) {
	const strict = "global_defs {\nvrrp_strict\n}\n"
	instance := func(lines string) string {
		return "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1/24\n}\n" + lines + "\n}\n"
	}
	const password = "state MASTER\npriority 100\nnopreempt\nauthentication {\nauth_type PASS\nauth_pass 1111\n}\n"
	for _, c := range []struct {
		in, want string
		word     string
		fate     Fate
	}{
		{strict + instance(password), "version 2, priority 100, preempt false", "auth_pass", Ignored},
		{strict + instance(password), "version 2, priority 100, preempt false", "nopreempt", Same},
		{strict + instance(password), "version 2, priority 100, preempt false", "state", Equivalent},
		{instance("strict_mode on\n" + password), "version 2, priority 100, preempt false", "auth_type", Ignored},
		{instance("strict_mode\n" + password), "version 2, priority 100, preempt false", "strict_mode", Differs},
		{strict + instance("strict_mode off\n"+password), "version 2, priority 100, password", "nopreempt", Ignored},
		{"global_defs {\nvrrp_strict off\n}\n" + instance(password), "version 2, priority 100, password", "vrrp_strict", Same},
		{strict + instance("strict_mode perhaps\n"+password), "version 2, priority 100, preempt false", "strict_mode", Ignored},
		{strict + instance("state BACKUP\npriority 255\nnopreempt"), "version 2, priority 255", "nopreempt", Ignored},
		{strict + instance("preempt_delay 5"), "version 2, priority 100", "preempt_delay", Ignored},
		{strict + instance("down_timer_adverts 5"), "version 2, priority 100", "down_timer_adverts", Ignored},
		{strict + instance("higher_prio_send_advert"), "version 2, priority 100", "higher_prio_send_advert", Ignored},
		{strict + instance("unicast_peer {\n10.0.0.2\n}"), "none", "vrrp_instance", Missing},
		{strict + "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n}\n", "none", "vrrp_instance", Missing},
		{strict + "vrrp_instance A {\ninterface eth0\nversion 2\nvirtual_router_id 1\nvirtual_ipaddress {\nfd00::1/64\n}\n}\n", "version 3, priority 100", "version", Ignored},
		{strict + instance("use_vmac\nvmac_xmit_base"), "version 2, priority 100, refuses packets", "vmac_xmit_base", Ignored},
		{strict + instance("use_vmac\naccept"), "version 2, priority 100, refuses packets", "accept", Ignored},
		{strict + instance("version 3\nuse_vmac\naccept"), "version 3, priority 100, accepts packets", "accept", Same},
		{strict + instance("use_vmac 02:00:00:00:00:01"), "version 2, priority 100, refuses packets", "use_vmac", Ignored},
		{strict + instance("priority 255\nuse_vmac"), "version 2, priority 255, accepts packets", "use_vmac", Same},
		{strict + instance("version 3\nauth_hmac {\nkey 1 abcdefghijklmnopqrstuvwxyz012345\nactive_key 1\nmode permissive\n}"), "version 3, priority 100, hmac enforce", "mode", Ignored},
	} {
		cfg, r := imported(t, c.in)
		got := "none"
		if len(cfg.VRRP) > 0 {
			v := cfg.VRRP[0]
			got = fmt.Sprintf("version %d, priority %d", v.Version, v.Priority)
			if !v.Preempt {
				got += ", preempt false"
			}
			if v.PreemptDelay != 0*time.Second {
				got += ", preempt_delay"
			}
			if v.AuthPass.Reveal() != "" {
				got += ", password"
			}
			if v.AuthHMAC != nil {
				got += fmt.Sprintf(", hmac %v", v.AuthHMAC.Mode)
			}
			if m := v.VMAC; m != nil {
				got += map[bool]string{true: ", refuses packets", false: ", accepts packets"}[m.NoAccept]
				if m.XmitBase {
					got += ", from below"
				}
			}
		}
		if got != c.want {
			t.Errorf("%s\nbecame %s, want %s\n%s", c.in, got, c.want, r.HCL)
		}
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Word == c.word && f.Fate == c.fate }) {
			t.Errorf("%s\n%s is not %s: %+v", c.in, c.word, c.fate, r.Findings)
		}
		if c.want == "none" && !strings.Contains(string(r.HCL), "keepalived does not run it") {
			t.Errorf("%s\nbecame without a word\n%s", c.in, r.HCL)
		}
	}
}
