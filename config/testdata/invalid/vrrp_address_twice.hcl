vrrp "one" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}

vrrp "two" {
  interface         = "eth1"
  virtual_router_id = 51

  address "192.0.2.10" {}
}
