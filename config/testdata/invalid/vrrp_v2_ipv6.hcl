vrrp "six" {
  interface         = "eth0"
  virtual_router_id = 51
  version           = 2
  addresses         = ["2001:db8::10/64"]
}
