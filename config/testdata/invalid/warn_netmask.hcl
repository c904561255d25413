virtual_service "web" {
  address = "192.0.2.10:80"

  persistence { netmask = "0.0.0.255" }

  real_server "192.0.2.11" {}
}
