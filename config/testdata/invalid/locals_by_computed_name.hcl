locals {
  a = "b"
  b = local[local.a]
}

vrrp "web" {
  interface         = local.b
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}
