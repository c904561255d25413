vrrp "two" {
  interface         = "eth0"
  virtual_router_id = 51
  version           = 2
  checksum          = "without-pseudo"
  addresses         = ["192.0.2.10/24"]
}

vrrp "word" {
  interface         = "eth0"
  virtual_router_id = 52
  checksum          = "without_pseudo"
  addresses         = ["192.0.2.20/24"]
}
