vrrp "long" {
  interface         = "a-very-long-interface"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}

vrrp "slash" {
  interface         = "eth0/1"
  virtual_router_id = 52
  addresses         = ["192.0.2.20/24"]
}

vrrp "empty" {
  interface         = ""
  virtual_router_id = 53
  addresses         = ["192.0.2.30/24"]
}
