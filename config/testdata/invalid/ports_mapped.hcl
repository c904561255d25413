virtual_service "dr" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11:8080" {}
  real_server "192.0.2.12:80" {}
}

virtual_service "tun" {
  address    = "192.0.2.10:81"
  forwarding = "nat"

  real_server "192.0.2.11:8080" { forwarding = "tun" }
  real_server "192.0.2.12:8080" {}
}

virtual_service "every" {
  address = "192.0.2.10"

  persistence {}

  real_server "192.0.2.11:80" {}
}
