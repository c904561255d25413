virtual_service "a" {
  address = "192.0.2.10:80"
  real_server 192.0.2.21:80 { weight = 1 }
}
