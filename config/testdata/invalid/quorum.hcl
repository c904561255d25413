virtual_service "both" {
  address = "192.0.2.10:80"
  quorum {
    servers = 1
    weight  = 1
  }
  real_server "192.0.2.11" {}
}

virtual_service "unreachable" {
  address = "192.0.2.10:81"
  quorum { servers = 3 }
  real_server "192.0.2.11" {}
  real_server "192.0.2.12" {}
  sorry_server "192.0.2.13" {}
}

virtual_service "weights" {
  address = "192.0.2.10:82"
  quorum { weight = 4 }
  real_server "192.0.2.11" {}
  real_server "192.0.2.12" { weight = 2 }
}

virtual_service "never-lost" {
  address = "192.0.2.10:83"
  quorum {
    servers    = 2
    hysteresis = 2
  }
  real_server "192.0.2.11" {}
  real_server "192.0.2.12" {}
}

virtual_service "never-gained" {
  address = "192.0.2.10:84"
  quorum {
    servers    = 2
    hysteresis = 1
  }
  real_server "192.0.2.11" {}
  real_server "192.0.2.12" {}
}

virtual_service "twice" {
  address = "192.0.2.10:85"
  real_server "192.0.2.11" {}
  sorry_server "192.0.2.11" {}
}
