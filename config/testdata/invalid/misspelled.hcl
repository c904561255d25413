vrrp "web" {
  interfaze         = "eth0"
  virtual_router_id = 10
}

virtual_service "http" {
  adress = "192.0.2.100:80"
}
