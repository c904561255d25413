vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  version            = 2
  advertise_interval = "1500ms"
  addresses          = ["192.0.2.10/24"]
}
