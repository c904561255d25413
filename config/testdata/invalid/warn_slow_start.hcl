virtual_service "ignored" {
  address    = "192.0.2.10:80"
  scheduler  = "rr"
  slow_start = "30s"
  real_server "192.0.2.11" { weight = 100 }
}

virtual_service "small" {
  address    = "192.0.2.10:81"
  slow_start = "30s"
  real_server "192.0.2.11" { weight = 4 }
}
