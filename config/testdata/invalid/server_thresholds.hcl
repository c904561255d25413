virtual_service "web" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11" {
    upper_threshold = 10
    lower_threshold = 11
  }

  real_server "192.0.2.12" { lower_threshold = 5 }
}
