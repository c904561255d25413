vrrp "web" {
  interface         = null
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}
