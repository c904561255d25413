vrrp "lo" {
  interface         = "lo"
  virtual_router_id = 51
  priority          = 255
  version           = 2
  addresses         = ["192.0.2.10/0"]
  auth_pass         = ""

  track_interface "eth1" { weight = -10 }
}

virtual_service "web" {
  address   = "192.0.2.10:80"
  scheduler = "rr"

  health_check "http" {
    path = "/healthz"
  }
  health_check "http" {
    path     = "/healthz"
    interval = "2s"
  }

  real_server "192.0.2.11" { weight = 1 }
  real_server "192.0.2.12" { weight = 3 }
}

virtual_service "drained" {
  address   = "192.0.2.10:81"
  scheduler = "rr"

  real_server "192.0.2.11" { weight = 0 }
  real_server "192.0.2.12" { weight = 3 }
}

virtual_service "syslog" {
  address  = "192.0.2.10:514"
  protocol = "udp"

  health_check "tcp" {}
  real_server "192.0.2.11" {}
  real_server "192.0.2.12" {
    health_check "tcp" { port = 22 }
  }
}

virtual_service "dns" {
  address  = "192.0.2.10:53"
  protocol = "udp"

  health_check "tcp" {}
  real_server "192.0.2.11" {}
}
