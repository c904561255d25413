track_script "x" { command = ["true"] }
track_process "y" { weight = -20 }

vrrp "a" {
  interface         = "eth0"
  virtual_router_id = 1
  addresses         = ["192.0.2.10/24"]

  track "x" { weight = 5 }
  track_interface "eth1" { weight = -5 }
  track "y" {}
}

vrrp "b" {
  interface         = "eth0"
  virtual_router_id = 2
  priority          = 50
  addresses         = ["192.0.2.11/24"]
}

vrrp "c" {
  interface         = "eth0"
  virtual_router_id = 3
  preempt           = false
  addresses         = ["192.0.2.12/24"]
}

sync_group "group" { instances = ["a", "b", "c"] }
