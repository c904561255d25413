virtual_service "sticky" {
  address = "192.0.2.10:80"
  linger  = "5s"
  persistence {}
  real_server "192.0.2.11" {}
}

virtual_service "hashed" {
  address   = "192.0.2.10:81"
  scheduler = "sh"
  linger    = "5s"
  real_server "192.0.2.11" {}
}

virtual_service "long" {
  address = "192.0.2.10:82"
  linger  = "25h"
  real_server "192.0.2.11" {}
}
