virtual_service "web" {
  address = "192.0.2.10"

  real_server "192.0.2.11" {}
}

virtual_service "zero" {
  address = "[2001:db8::10]:0"

  real_server "2001:db8::11" {}
}
