virtual_service "any" {
  address = "0.0.0.0:80"

  real_server "192.0.2.11" {}
}

virtual_service "group" {
  address = "[ff02::1]:80"

  real_server "2001:db8::11" {}
}

virtual_service "port" {
  address = "192.0.2.10:80000"

  real_server "192.0.2.11" {}
}

virtual_service "brackets" {
  address = "2001:db8::1:http"

  real_server "2001:db8::11" {}
}
