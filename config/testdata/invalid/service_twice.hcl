virtual_service "one" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11" {}
}

virtual_service "two" {
  address  = "192.0.2.10:80"
  protocol = "tcp"

  real_server "192.0.2.12" {}
}

virtual_service "mark" {
  mark = 5

  real_server "192.0.2.11" {}
}

virtual_service "mark again" {
  mark   = 5
  family = "ipv4"

  real_server "192.0.2.11" {}
}
