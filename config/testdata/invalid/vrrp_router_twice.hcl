vrrp "one" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}

vrrp "two" {
  interface         = "eth0"
  virtual_router_id = 51
  version           = 2
  addresses         = ["192.0.2.20/24"]
}

vrrp "six" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["2001:db8::10/64"]
}
