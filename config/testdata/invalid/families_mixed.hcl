virtual_service "dr" {
  address = "192.0.2.10:80"

  real_server "2001:db8::11" {}
}

virtual_service "nat" {
  address    = "[2001:db8::10]:80"
  forwarding = "nat"

  real_server "192.0.2.11:8080" {}
}

virtual_service "tun" {
  address    = "192.0.2.10:81"
  forwarding = "tun"

  real_server "2001:db8::11" {}
}
