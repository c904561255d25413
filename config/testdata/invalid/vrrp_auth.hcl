vrrp "three" {
  interface         = "eth0"
  virtual_router_id = 51
  auth_pass         = "secret12"
  addresses         = ["192.0.2.10/24"]
}

vrrp "long" {
  interface         = "eth0"
  virtual_router_id = 52
  version           = 2
  auth_pass         = "secret123"
  addresses         = ["192.0.2.20/24"]
}
