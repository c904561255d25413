package keepalived

// block describes what may stand in a block: its keywords, or free values.
type block struct {
	values bool // lines of values instead of keywords, as in virtual_ipaddress
	words  map[string]*block
	raw    map[string]bool // keywords whose line is read again with quotes and escapes
}

// words returns the keywords of a block that have none of their own. The field of a keyword that begins with "'" is raw.
func keywords(lists ...string) *block {
	b := &block{words: map[string]*block{}, raw: map[string]bool{}}
	for _, list := range lists {
		for _, word := range fields(list) {
			if word[0] == '\'' {
				word = word[1:]
				b.raw[word] = true
			}
			b.words[word] = nil
		}
	}
	return b
}

// with adds a keyword with a block.
func (b *block) with(sub *block, words ...string) *block {
	for _, w := range words {
		b.words[w] = sub
	}
	return b
}

func fields(s string) []string {
	words, _ := split(s)
	return words
}

var values = &block{values: true}

const (
	retries    = "retry delay_before_retry warmup delay_loop alpha log_all_failures"
	connection = "connect_ip connect_port bindto bind_port bind_if connect_timeout fwmark " + retries
	// The parts of a virtual_server that its real servers share.
	serverTimers = "retry delay_before_retry warmup connect_timeout delay_loop alpha inhibit_on_failure smtp_alert virtualhost snmp_name weight lvs_method"
	notifies     = "'notify_backup 'notify_master 'notify_fault 'notify_stop 'notify smtp_alert notify_priority_changes"
)

// grammar is what keepalived 2.4 knows, with everything built in.
var grammar = keywords(`linkbeat_use_polling net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir instance child_wait_time`).
	with(globalDefs, "global_defs").
	with(keywords("group").with(values, "group"), "track_group").
	with(values, "static_ipaddress", "static_routes", "static_rules", "linkbeat_interfaces", "interface_up_down_delays", "virtual_server_group").
	with(syncGroup, "vrrp_sync_group").
	with(keywords("garp_interval gna_interval interface").with(values, "interfaces"), "garp_group").
	with(instance, "vrrp_instance").
	with(keywords("'script interval timeout weight rise fall user init_fail"), "vrrp_script").
	with(keywords("process param_match weight quorum quorum_max delay terminate_delay fork_delay full_command"), "vrrp_track_process").
	with(keywords("file weight init_file"), "track_file", "vrrp_track_file").
	with(keywords("password ca certificate key"), "SSL").
	with(virtualServer, "virtual_server").
	with(keywords("source_ip neighbor_ip neighbour_ip min_rx min_tx idle_tx multiplier passive ttl hoplimit max_hops multihop weight vrrp checker"), "bfd_instance")

var globalDefs = keywords(`process_names process_name vrrp_process_name checker_process_name lvs_process_name bfd_process_name
	use_symlink_paths set_supplementary_groups router_id notification_email_from smtp_server smtp_helo_name
	smtp_connect_timeout smtp_alert 'startup_script startup_script_timeout 'shutdown_script
	shutdown_script_timeout max_auto_priority min_auto_priority_delay smtp_alert_vrrp smtp_alert_checker
	checker_log_all_failures dynamic_interfaces no_email_faults default_interface disable_local_igmp v3_checksum_as_v2
	lvs_timeouts lvs_flush lvs_flush_on_stop lvs_flush_onstop lvs_sync_daemon vrrp_mcast_group4 vrrp_mcast_group6
	vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat
	vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_down_timer_adverts vrrp_garp_interval vrrp_gna_interval
	vrrp_min_garp vrrp_garp_extra_if vrrp_vmac_garp_intvl vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert
	vrrp_version vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_ifindex vrrp_check_unicast_src
	vrrp_skip_check_adv_addr vrrp_strict vrrp_priority vrrp_no_swap vrrp_rt_priority vrrp_cpu_affinity
	vrrp_rlimit_rttime vrrp_rlimit_rtime nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark
	nftables_counters notify_fifo 'notify_fifo_script vrrp_notify_fifo 'vrrp_notify_fifo_script
	vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload lvs_notify_fifo 'lvs_notify_fifo_script
	checker_priority checker_no_swap checker_rt_priority checker_cpu_affinity checker_rlimit_rttime
	checker_rlimit_rtime bfd_priority bfd_no_swap bfd_rt_priority bfd_cpu_affinity bfd_rlimit_rttime bfd_rlimit_rtime
	snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2
	enable_snmp_rfcv3 enable_snmp_checker snmp_vs_stats_update_interval snmp_rs_stats_update_interval enable_dbus
	dbus_service_name dbus_no_interface_name script_user enable_script_security vrrp_netlink_cmd_rcv_bufs
	vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force
	process_monitor_rcv_bufs process_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force
	lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force rs_init_notifies no_checker_emails
	vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_startup_delay vrrp_delay_after_boot log_unknown_vrids
	vrrp_owner_ignore_adverts vmac_prefix vmac_addr_prefix umask random_seed reload_check_config reload_time_file
	reload_repeat reload_file include_check config_save_dir tmp_config_directory data_use_instance json_version
	iproute_usr_dir iproute_etc_dir state_dump_file stats_dump_file json_dump_file`).
	with(values, "notification_email")

var syncGroup = keywords(notifies, "global_tracking sync_group_tracking_weight").
	with(values, "group", "track_interface", "track_script", "track_file", "track_process", "track_bfd")

var instance = keywords(notifies, `'notify_deleted 'notify_master_rx_lower_pri use_vmac use_vmac_addr vmac_xmit_base use_ipvlan
	unicast_fault_no_peer check_unicast_src old_unicast_checksum native_ipv6 state interface vrf dont_track_primary
	mcast_src_ip unicast_src_ip mcast_dst_ip track_src_ip virtual_router_id unicast_ttl version priority advert_int
	no_virtual_ipaddress promote_secondaries linkbeat_use_polling v3_checksum_as_v2 accept no_accept skip_check_adv_addr
	strict_mode preempt nopreempt preempt_delay debug lvs_sync_daemon_interface garp_master_delay garp_master_refresh
	garp_master_repeat garp_master_refresh_repeat garp_lower_prio_delay garp_lower_prio_repeat down_timer_adverts
	timer_expired_backup thread_timer_expired garp_extra_if vmac_garp_intvl lower_prio_no_advert
	higher_prio_send_advert owner_ignore_adverts kernel_rx_buf_size`).
	with(values, "unicast_peer", "track_interface", "track_script", "track_file", "track_process", "track_bfd",
		"virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "virtual_rules").
	with(keywords("auth_type auth_pass"), "authentication").
	with(keywords("key active_key time_window anti_replay mode"), "auth_hmac")

var virtualServer = keywords(serverTimers, `ip_family lb_algo lvs_sched hashed ops flag-1 flag-2 flag-3 sh-port sh-fallback mh-port
	mh-fallback lb_kind persistence_engine persistence_timeout persistence_granularity protocol ha_suspend omega
	'quorum_up 'quorum_down quorum hysteresis sorry_server sorry_server_inhibit sorry_server_lvs_method`).
	with(realServer, "real_server")

var realServer = keywords(serverTimers, "uthreshold lthreshold 'notify_up 'notify_down").
	with(keywords(retries, "'misc_path misc_timeout misc_dynamic user"), "MISC_CHECK").
	with(keywords(connection, "helo_name").with(keywords(connection), "host"), "SMTP_CHECK").
	with(keywords(connection), "TCP_CHECK", "PING_CHECK").
	with(keywords(connection, "payload require_reply min_reply_length max_reply_length"), "UDP_CHECK").
	with(httpCheck, "HTTP_GET", "SSL_GET").
	with(keywords(connection, "type name"), "DNS_CHECK").
	with(keywords("track_file weight"), "FILE_CHECK").
	with(keywords("name alpha"), "BFD_CHECK")

var httpCheck = keywords(connection, "nb_get_retry virtualhost http_protocol enable_sni sni_name fast_recovery tls_compliant").
	with(keywords(`path digest status_code virtualhost regex regex_no_match regex_options regex_min_offset regex_max_offset
		regex_stack tls_compliant`), "url")
