virtual_service "web" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11" {}
  real_server "192.0.2.11:80" { weight = 2 }
}
