locals {
  a = local.b
  b = "${local.c}!"
  c = [local.a]
  d = local.d
}

vrrp "web" {
  interface         = local.b
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
  priority          = 300
}
