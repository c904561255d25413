vrrp "odd" {
  interface          = "eth0"
  virtual_router_id  = 51
  advertise_interval = "25ms"
  addresses          = ["192.0.2.10/24"]
}

vrrp "long" {
  interface          = "eth0"
  virtual_router_id  = 52
  advertise_interval = "41s"
  addresses          = ["192.0.2.20/24"]
}
