global_defs {}

vrrp "web" {
  state             = "MASTER"
  interface         = "eth0"
  virtual_router_id = 51
  advert_int        = 1
  nopreempt         = true

  notify_master = "/usr/local/sbin/master"
  smtp_alert    = true

  virtual_ipaddress {}
  track_script {}
}

virtual_server "192.0.2.10 80" {}

vrrp_script "haproxy" {}
vrrp_track_file "file" {}
vrrp_track_process "process" {}
vrrp_sync_group "group" {}

track_script "script" { script = "/usr/bin/killall -0 haproxy" }

vrrp "tracks" {
  track = ["script"]
  virtual_ipaddress_excluded {}
}
