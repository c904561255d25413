package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// owner is the priority of a router that cannot be taken over from. After a fault, keepalived's is a backup for a moment.
const owner = "  priority 255\n"

// generateVRRP returns a keepalived configuration that is written in many ways, and whose instances all become master on a host
// that is alone.
func generateVRRP(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var b strings.Builder
	fmt.Fprintf(&b, "! generated\nglobal_defs {\n  script_user root\n  vrrp_notify_fifo @DIR@/fifo\n%s%s%s}\n$NET=10.9\n", pick("", "vrrp_version 3\n", "vrrp_version 2\n"),
		pick("", "vrrp_garp_master_repeat 3\n"), pick("", "vrrp_garp_master_delay 1 # soon\n"))
	b.WriteString("vrrp_script good {\n  script /bin/true\n  interval 1\n  weight 7\n  user root\n}\nvrrp_script bad {\n  script /bin/false\n  interval 1\n  weight -9\n  fall 1\n  user root\n}\n" +
		"vrrp_track_process init {\n  process no-such-program\n  quorum_max 0\n  weight 11\n}\n")
	grouped := r.IntN(2) == 0
	if grouped {
		b.WriteString("vrrp_sync_group G {\n  group {\n    V1\n    V2\n  }\n" + pick("", "  sync_group_tracking_weight\n", "  track_script {\n    good\n  }\n", "  track_interface {\n    eth1 weight 4\n  }\n") + notifies(r, "G") + "}\n")
	}
	ipv4, ipv6 := 1, 1
	for i := 1; i <= 12; i++ {
		six := r.IntN(4) == 0
		version := pick("", "version 2\n", "version 3\n")
		if six {
			version = pick("", "version 3\n")
		}
		name := pick("V%d", "\"V-%d\"", "lan/%d")
		if i <= 2 && grouped {
			name = "V%d"
		}
		fmt.Fprintf(&b, "vrrp_instance %s%s{\n  interface eth0\n  virtual_router_id %d\n%s", name, pick(" ", "\n"), i, version)
		text := b.String()
		b.Reset()
		b.WriteString(strings.Replace(text, "%d", fmt.Sprint(i), 1))
		state := pick("", "  state MASTER\n  priority 150\n", "  state BACKUP\n", "  nopreempt\n")
		priorities := []string{"", "  priority 77 ! low\n", "  priority 254\n"}
		if state != "  state BACKUP\n" && (i > 2 || !grouped) { // lvs-ha's begins as the master
			priorities = append(priorities, owner)
		}
		priority := pick(priorities...)
		b.WriteString(state + priority)
		b.WriteString(pick("", "  advert_int 1\n", "  advert_int 0.7 # rounded with version 2\n"))
		switch {
		case six:
		case r.IntN(3) == 0:
			b.WriteString("  authentication { auth_type PASS\n auth_pass " + pick("short", "\"longer than 8\"", "12345678") + " }\n")
		case r.IntN(4) == 0:
			b.WriteString("  unicast_src_ip 10.9.0.1\n  unicast_ttl 255\n  unicast_peer {\n    10.9.0.77" + pick("", " min_ttl 3 max_ttl 255") + "\n  }\n")
		case r.IntN(4) == 0:
			b.WriteString("  mcast_dst_ip 224.0.0.55\n")
		}
		if r.IntN(4) == 0 {
			b.WriteString("  track_interface {\n    eth1" + pick("", " weight 5", " weight -5 reverse") + "\n  }\n")
		}
		if r.IntN(4) == 0 {
			b.WriteString("  track_script {\n    " + pick("good", "bad", "good weight 20", "good weight 6 reverse\n    bad") + "\n  }\n")
		}
		if r.IntN(6) == 0 {
			b.WriteString("  track_process {\n    init" + pick("", " weight 3") + "\n  }\n")
		}
		if r.IntN(4) == 0 && !six {
			fmt.Fprintf(&b, "  virtual_routes {\n    10.66.%d.0/24 via 10.9.0.77 dev eth0 table %d%s\n    %s 10.67.%d.0/24 table %d\n  }\n", i, 100+i,
				pick("", " metric 5", " mtu 1300"), pick("blackhole", "unreachable", "prohibit"), i, 100+i)
			fmt.Fprintf(&b, "  virtual_rules {\n    from 10.65.%d.0/24 %s %d priority %d\n  }\n", i, pick("table", "lookup"), 100+i, 1000+i)
		}
		b.WriteString("  virtual_ipaddress {\n")
		for range 1 + r.IntN(4) {
			if six {
				fmt.Fprintf(&b, "    fd09::1:%x%s # address\n", ipv6, pick("", "/64", "/128 dev eth1", "/64 preferred_lft 0"))
				ipv6++
				continue
			}
			fmt.Fprintf(&b, "    ${NET}.%d.%d%s\n", 1+ipv4/250, 1+ipv4%250, pick("", "/24", "/24 dev eth1", "/32 label eth0:v", "/32 scope link", "/24 dev eth0 brd +", "/24 noprefixroute"))
			ipv4++
		}
		b.WriteString("  }\n")
		if r.IntN(3) == 0 && !six {
			fmt.Fprintf(&b, "  virtual_ipaddress_excluded {\n~SEQ(i, 1, %d) 10.7.%d.$i\n  }\n", 1+r.IntN(3), i)
		}
		if priority != owner {
			b.WriteString(notifies(r, fmt.Sprint(i)))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// notifies returns some of the lines of an instance or group by which it calls the script that notes its arguments.
func notifies(r *rand.Rand, name string) string {
	var b strings.Builder
	for _, word := range []string{"notify_master", "notify_backup", "notify_fault", "notify_stop", "notify"} {
		switch r.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "  %s @DIR@/note\n", word)
		case 1:
			fmt.Fprintf(&b, "  %s \"@DIR@/note %s 'of %s'\"\n", word, word, name)
		case 2:
			fmt.Fprintf(&b, "  %s \"@DIR@/note %s %s 'x y' $1 *\" root root ! with a user\n", word, word, name)
		}
	}
	return b.String()
}
