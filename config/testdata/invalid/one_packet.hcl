virtual_service "web" {
  address    = "192.0.2.10:80"
  one_packet = true

  real_server "192.0.2.11" {}
}
