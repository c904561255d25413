vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}

virtual_service "web" {
  address = "192.0.2.11:80"

  real_server "192.0.2.21" {}
}
