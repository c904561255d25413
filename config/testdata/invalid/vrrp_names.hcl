vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.20/24"]
}

vrrp "" {
  interface         = "eth0"
  virtual_router_id = 53
  addresses         = ["192.0.2.30/24"]
}

vrrp "two words" {
  interface         = "eth0"
  virtual_router_id = 54
  addresses         = ["192.0.2.40/24"]
}
