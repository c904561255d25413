vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]

  connection_sync { interface = "eth1" }
}

virtual_service "web" {
  address    = "192.0.2.10:80"
  forwarding = "tun"

  real_server "2001:db8::11" {}
}
