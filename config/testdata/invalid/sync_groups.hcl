track_script "x" { command = ["true"] }

vrrp "a" {
  interface         = "eth0"
  virtual_router_id = 1
  addresses         = ["192.0.2.10/24"]
  track "x" {}
}

vrrp "b" {
  interface         = "eth0"
  virtual_router_id = 2
  addresses         = ["192.0.2.11/24"]
}

sync_group "one" { instances = ["a"] }

sync_group "two" {
  instances = ["b", "c", "b"]
  track "y" {}
}

sync_group "three" {
  instances = ["a", "b"]
  track "x" {}
}

sync_group "three" { instances = "a" }
sync_group "four" {}
