virtual_service "web" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11" { weight = -1 }
  real_server "192.0.2.12" { weight = 2147483648 }
  real_server "192.0.2.13" { upper_threshold = 4294967296 }
}
