virtual_service "words" {
  address    = "192.0.2.10:80"
  min_up     = "half"
  slow_start = "1 minute"
  init       = "on"
  real_server "192.0.2.11" {}
}

virtual_service "percent" {
  address = "192.0.2.10:81"
  min_up  = "101%"
  real_server "192.0.2.11" {}
}

virtual_service "servers" {
  address = "192.0.2.10:82"
  min_up  = 2
  real_server "192.0.2.11" {}
}
