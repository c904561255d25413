package keepalivedtest

import "strings"

const (
	junk    = `0|1|-1|5|255|256|65536|99999999999|0.5|1e3|yes|off|true|eth1|10.0.0.7|fd00::7|224.0.0.99|ff02::99|/a/b|a_b|x"y|"/c d e"|255.255.255.0|TCP|ä|$|}x|'|\\`
	seconds = "1|2|0.5|10|60|0"
	count   = "1|2|3|5|0"
	truth   = "|true|false|on|off|yes|no"
	scripts = `"/usr/bin/check a 'b c'"|/usr/bin/check|check.sh|"/usr/bin/pgrep -x haproxy"|"killall -0 nginx"|"/bin/sh -c 'systemctl stop keepalived'"|"</dev/tcp/127.0.0.1/80"|/usr/bin/check user|"/a | b"`
	route   = "{VIP}/32|192.0.2.0/24 via {ADDRESS} dev eth0|default via {ADDRESS}|src {ADDRESS} 198.51.100.0/24 via {ADDRESS} metric 7 table 100|blackhole 198.51.100.128/25|192.0.2.0/25 nexthop via {ADDRESS} weight 1 nexthop via {ADDRESS} weight 2|192.0.2.0/26 via {ADDRESS} or {ADDRESS}|192.0.2.0/27 dev eth0 scope link mtu 1400 onlink proto 3|x y"
	rule    = "from {ADDRESS} table 100|to 192.0.2.0/24 table main priority 50|from 192.0.2.0/24 fwmark 7 lookup 200 preference 60|iif eth0 table 5|from {ADDRESS} to {ADDRESS} blackhole priority 70|from {OTHER} table 100|from all dport 80 table 3|table custom"
	address = "{VIP}{LENGTH}|{VIP}{LENGTH} dev eth1|{VIP}{LENGTH} dev eth0|{LINKLOCAL}|{LINKLOCAL} dev eth1|{VIP}/24 label eth0:1|{VIP} scope link|{VIP}/24 brd +|{VIP}/24 brd 10.0.0.255|{VIP}/24 noprefixroute|{VIP} peer {ADDRESS}|{VIP}/64 preferred_lft 0|{OTHER}|{VIP} no_track|{VIP} home|nonsense"
	process = "|0|1|50|5"
)

// blockLines are the lines of blocks of values.
var blockLines = map[string]string{
	"static_ipaddress":           "{VIP}/24 dev eth0|{VIP}/24 dev eth1 scope link|{OTHER}/64 dev eth0|{VIP}",
	"static_routes":              route,
	"static_rules":               rule,
	"linkbeat_interfaces":        "eth0|eth1",
	"interface_up_down_delays":   "eth0 1 2|eth1 3",
	"virtual_server_group":       "{VIP} {PORT}|10.30.0.1-9 {PORT}|10.40.0.0/30 80|fwmark {NUMBER}|fwmark {NUMBER} inet6|{OTHER} {PORT}|nonsense",
	"notification_email":         "root|ops@example.org|Ops <ops@example.org>|\"Ops Team\" ops@example.org",
	"virtual_ipaddress":          address,
	"virtual_ipaddress_excluded": address,
	"virtual_routes":             route,
	"virtual_rules":              rule,
	"unicast_peer":               "{ADDRESS}|{ADDRESS}/24|{ADDRESS} min_ttl 3 max_ttl 254|{OTHER}|{ADDRESS} max_ttl 64",
	"track_interface":            "eth0|eth1|eth2 weight -10|eth3 weight 5 reverse|lo",
	"track_script":               tracks("s0"),
	"track_file":                 tracks("f0"),
	"track_process":              tracks("p0"),
	"track_bfd":                  "b",
	"interfaces":                 "eth0|eth1",
	"group":                      "V0|V1|V2|V9",
}

// arguments are what follows a keyword, by "block.keyword" or "keyword". Other keywords get anything.
var arguments = map[string]string{
	"router_id": "lb1|LVS_DEVEL", "notification_email_from": "lb@example.org|lb", "smtp_server": "127.0.0.1|mail.example.org 587|fd00::25",
	"smtp_helo_name": "lb1.example.org", "smtp_connect_timeout": seconds, "smtp_alert": truth, "smtp_alert_vrrp": truth, "smtp_alert_checker": truth,
	"vrrp_version": "2|3", "vrrp_strict": truth, "vrrp_mcast_group4": "224.0.0.55|10.0.0.1", "vrrp_mcast_group6": "ff02::55|fd00::1", "vrrp_garp_master_delay": count,
	"vrrp_garp_master_repeat": count, "vrrp_garp_master_refresh": "0|60|3600|999999", "vrrp_garp_master_refresh_repeat": count, "vrrp_startup_delay": seconds,
	"v3_checksum_as_v2": truth, "script_user": "root|nobody|nobody nogroup|nobody :nogroup", "notify_fifo": "/run/fifo|fifo",
	"vrrp_notify_fifo": "/run/vrrp-fifo", "lvs_notify_fifo": "/run/lvs-fifo", "lvs_timeouts": "tcp 900|tcp 900 tcpfin 120 udp 300|udp 0|tcp x",
	"lvs_sync_daemon":         "eth0 V0|eth0 inst V0 id 7|eth1 inst V1 id 8 maxlen 1400 port 8848 ttl 2 group 224.0.0.81|eth0 V9 3|eth0|eth0 inst V0 id 300 ttl 0 group x",
	"vrrp_down_timer_adverts": "3|5|1", "vrrp_garp_interval": "0|0.1", "vrrp_gna_interval": "0|0.1",
	"vrrp_script.script": scripts, "interval": seconds, "vrrp_script.timeout": seconds, "rise": count, "fall": count, "vrrp_script.weight": "5|-20|0|20 reverse|254|-253",
	"user":      "nobody|root wheel|nobody :nogroup",
	"init_fail": "", "file": "/run/weight|weight", "track_file.weight": "1|-1|10 reverse|254|255", "vrrp_track_file.weight": "1|-1|10 reverse", "init_file": "|5|overwrite 7",
	"process": "haproxy|haproxy -f /etc/haproxy.cfg|/usr/sbin/named", "param_match": "initial|exact|partial", "vrrp_track_process.weight": "5|-5|10 reverse",
	"vrrp_track_process.quorum": count, "quorum_max": "0|1|3|10", "delay": seconds, "terminate_delay": seconds, "fork_delay": seconds, "full_command": "",
	"notify": scripts, "notify_master": scripts, "notify_backup": scripts, "notify_fault": scripts, "notify_stop": scripts, "notify_deleted": scripts,
	"notify_master_rx_lower_pri": scripts, "notify_up": scripts, "notify_down": scripts, "quorum_up": scripts, "quorum_down": scripts,
	"misc_path": scripts, "startup_script": scripts, "shutdown_script": scripts,
	"state": "MASTER|BACKUP|BACKUP|NONE", "interface": "eth0|eth0|eth1|averylonginterfacename", "virtual_router_id": "{ID}|{ID}|{ID}|{ID}|{ID}|0", "version": "2|3|3|4",
	"priority": "1|50|100|150|254|255|0|256", "advert_int": "1|1|2|0.5|3.7|0.01|0.001|300", "mcast_src_ip": "{ADDRESS}|{ADDRESS}/24|{OTHER}|{GROUP}",
	"unicast_src_ip": "{ADDRESS}|{ADDRESS}/24|{OTHER}|{GROUP}|lo", "mcast_dst_ip": "{GROUP}|{GROUP}/4|{ADDRESS}", "unicast_ttl": "255|64", "preempt_delay": "0|5|60|9999",
	"garp_master_delay": count, "garp_master_repeat": count, "garp_master_refresh": "0|60", "garp_master_refresh_repeat": count, "down_timer_adverts": "3|4",
	"strict_mode": truth, "use_vmac": "|vrrp.51|name vrrp.52|00:00:5e:00:01:07|vrrp.53 02:00:00:00:00:01|a/b", "vmac_xmit_base": "", "accept": "", "no_accept": "", "preempt": "", "nopreempt": "",
	"lvs_sync_daemon_interface": "eth0|eth1", "native_ipv6": "", "no_virtual_ipaddress": "", "dont_track_primary": "", "track_src_ip": "",
	"auth_type": "PASS|AH|X", "auth_pass": `secret|muchlongerthan8|"with blank"|1234|x"y`,
	"auth_hmac.key": "1 0123456789abcdef0123456789abcdef|2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef|1 file:/etc/key|3 short|x y",
	"active_key":    "1|2|9", "time_window": "1|5|600|x", "anti_replay": "time|monotonic|off", "mode": "enforce|permissive|receive-only|sign",
	"SSL.password": "secret", "ca": "/etc/ca.pem", "certificate": "/etc/cert.pem", "SSL.key": "/etc/key.pem",
	"lb_algo": "rr|wrr|lc|wlc|sh|sh|mh|mh|nq|lblcr|fo|twos|x", "lvs_sched": "rr|wlc", "lb_kind": "NAT|DR|TUN|nat", "lvs_method": "NAT|DR|TUN|TUN type gue port 6080 csum|TUN type gre nocsum|TUN type x|TUN port 70000",
	"protocol": "TCP|TCP|UDP|SCTP|tcp|X", "ip_family": "inet|inet6|x", "persistence_timeout": "|50|360|0|99999999", "persistence_granularity": "255.255.255.0|24|64|255.0.255.0|0.0.0.0",
	"persistence_engine": "sip|x", "quorum": "1|2|5|0|1000", "hysteresis": "0|1|5", "sorry_server": "{REAL} 80|{REAL}/24 80|{ADDRESS} {PORT}|{OTHER} 80|127.0.0.1 80", "sorry_server_lvs_method": "NAT|DR|TUN",
	"ops": "", "hashed": "", "alpha": "|true|false", "omega": "", "inhibit_on_failure": "", "sh-port": "", "sh-fallback": "", "mh-port": "", "mh-fallback": "", "flag-1": "", "flag-2": "", "flag-3": "",
	"virtual_server.weight": "1|3|0|70000", "real_server.weight": "1|3|0|65535|70000", "uthreshold": "0|100", "lthreshold": "0|50|200",
	"virtualhost": `www.example.org|"a b"|www.example.org:8080|a/b`, "snmp_name": "x", "retry": count, "nb_get_retry": count, "delay_before_retry": seconds, "warmup": seconds,
	"delay_loop": seconds, "connect_timeout": seconds, "misc_timeout": seconds, "misc_dynamic": "", "connect_ip": "{ADDRESS}|{ADDRESS}/24|{OTHER}|{GROUP}", "connect_port": "80|443|0|65536",
	"bindto": "{ADDRESS}|{ADDRESS}-9|{OTHER}|{GROUP}|127.0.0.1", "bind_port": "1024", "bind_if": "eth0|a/b|averylonginterfacename", "fwmark": "1|0|4294967295|0x10",
	"helo_name": `lb1.example.org|fd00::1|192.0.2.1|"a b"|[fd00::1]|ä`, "path": `/|/healthz|status|"/a b?c=d#e"|http://www/x|/%zz`, "status_code": "200|200-299 404|99|599-600|200,201", "digest": "d41d8cd98f00b204e9800998ecf8427e|xyz|d41d",
	"regex": `OK|"^a.*b$"|"a{5000}"|(|(?=x)`, "regex_no_match": "", "regex_min_offset": "0|5|100|x|2000000", "regex_max_offset": "0|50|100|2000000", "regex_options": "caseless|extended|multiline dotall", "sni_name": `www.example.org|"a b"|192.0.2.1`, "enable_sni": "", "http_protocol": "1.0|1.1|1.1C",
	"fast_recovery": "", "DNS_CHECK.name": `www.example.org|.|example.org.|"a b"|a..b`, "type": "A|AAAA|SOA|MX|RRSIG|X|txt", "payload": "0a0b|0a 0b 0c|xx|abc", "require_reply": "|0a0b|0axx|abc",
	"min_reply_length": "0|10|300", "max_reply_length": "0|10|255|300", "track_file": "f0", "FILE_CHECK.weight": "1|-2|0|3 reverse|0 reverse", "BFD_CHECK.name": "b",
	"linkbeat_use_polling": "", "net_namespace": "x", "net_namespace_ipvs": "x", "instance": "x", "child_wait_time": "5",
	"vrrp_priority": process, "checker_priority": process, "bfd_priority": process,
}

func tracks(name string) string {
	return strings.Join([]string{name, name, name + " weight 5", name + " weight -60", name + " weight 10 reverse", name + " reverse", name + " weight 300"}, "|")
}
