weight = 3

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]

  scheduler = "wlc"

  health_check "tcp" {}
}
