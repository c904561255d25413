track_process "haproxy" { weight = -20 }

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
  preempt           = false

  track "haproxy" {}
  track_interface "eth1" { weight = 10 }
  track_interface "eth2" {}
  track "maintenance" {}
}

track_file "maintenance" { path = "/run/maintenance" }
