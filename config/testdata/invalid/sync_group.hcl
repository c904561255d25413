vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]

  connection_sync {
    interface = "eth1"
    group     = "192.0.2.81"
  }
}
