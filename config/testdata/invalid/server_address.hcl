virtual_service "web" {
  address    = "192.0.2.10:80"
  forwarding = "nat"

  real_server "0.0.0.0:80" {}
  real_server "224.0.0.1:80" {}
  real_server "255.255.255.255:80" {}
  real_server "192.0.2.10:8080" {}
}

virtual_service "six" {
  address = "[2001:db8::10]:80"

  real_server "fe80::11" {}
}
