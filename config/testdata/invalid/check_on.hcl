vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
}

virtual_service "ok" {
  address  = "192.0.2.10:80"
  check_on = "master"
  real_server "192.0.2.11" {}
}

virtual_service "elsewhere" {
  address  = "192.0.2.20:80"
  check_on = "master"
  real_server "192.0.2.11" {}
}

virtual_service "marked" {
  mark     = 5
  check_on = "master"
  real_server "192.0.2.11" {}
}

virtual_service "odd" {
  address  = "192.0.2.10:81"
  check_on = "backup"
  real_server "192.0.2.11" {}
}
