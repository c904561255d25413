vrrp "one" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]

  connection_sync { interface = "eth1" }
}

vrrp "two" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.20/24"]

  connection_sync { interface = "eth1" }
}
