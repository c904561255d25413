track_script "chk_haproxy" {
  # Or without a command: track_process "haproxy" {}
  command  = ["killall", "-0", "haproxy"] # verify the pid existence
  user     = "root"
  interval = "2s"
  weight   = 2
}

vrrp "VI_1" {
  interface         = "eth0"
  virtual_router_id = 51
  version           = 2
  priority          = { lb1 = 101, lb2 = 100 }[node.name] # 101 on master, 100 on backup
  source_address    = { lb1 = "10.0.0.1", lb2 = "10.0.0.2" }[node.name]
  unicast_peers     = { lb1 = ["10.0.0.2"], lb2 = ["10.0.0.1"] }[node.name]
  unicast_min_ttl   = 1
  auth_pass         = "secret12"

  address "10.0.0.100/24" { label = "eth0:vip" }
  track "chk_haproxy" {}

  notify {
    master = ["/usr/local/bin/n.sh", "master"]
    all    = ["/usr/local/bin/all.sh"]
    user   = "root"
  }

  # keepalived's garp_lower_prio_repeat: After adverts of a lower master, lvs-ha announces as often as announce.count says.
}
