virtual_service "both" {
  address = "192.0.2.10:80"
  mark    = 1

  real_server "192.0.2.11" {}
}

virtual_service "neither" {
  real_server "192.0.2.11" {}
}

virtual_service "family" {
  address = "192.0.2.10:81"
  family  = "ipv4"

  real_server "192.0.2.11" {}
}

virtual_service "protocol" {
  mark     = 2
  protocol = "tcp"

  real_server "192.0.2.11" {}
}

virtual_service "zero" {
  mark = 0

  real_server "192.0.2.11" {}
}
