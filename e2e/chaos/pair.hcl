# The pair that troubles happen to: as in examples/nat.hcl, with forwarding and the table in lvs-ha's hands altogether, so that a
# worker that undoes too much is seen.

variable "advertise_interval" { default = "100ms" }

director { on_stop = "remove" }

sysctl { manage = true }

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = var.advertise_interval
  addresses          = ["202.99.59.110/24"]

  address "192.168.10.254/24" { interface = "eth1" }

  track_interface "eth1" {}

  connection_sync {
    interface  = "eth1"
    learn_time = "1s"
  }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "nat"

  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
    rise     = 1
  }

  real_server "192.168.10.1:80" {}
  real_server "192.168.10.2:80" {}
  real_server "192.168.10.3:80" {}
}
