virtual_service "web" {
  address         = "192.0.2.10:80"
  required_checks = 3

  health_check "tcp" {}
  health_check "tcp" {
    port = 81

    source {
      address   = "2001:db8::1"
      interface = "much-too-long-a-name"
      mark      = 0
    }
  }

  real_server "192.0.2.11" {}
}

virtual_service "dns" {
  address         = "192.0.2.10:53"
  required_checks = "most"

  health_check "tcp" {}
  real_server "192.0.2.11" {}
}
