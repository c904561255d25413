virtual_service "a" {
  address = 192.0.2.10:80
}

vrrp "a" {
  advertise_interval = 1s
}

vrrp "b" {
  interface eth0
}

vrrp "c" {
  virtual_router_id: 51
}
