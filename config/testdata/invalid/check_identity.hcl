virtual_service "web" {
  address = "192.0.2.10:443"

  health_check "https" {
    tls { cert_file = "missing.pem" }
  }

  health_check "grpc" {
    tls {
      cert_file = "check_identity.hcl"
    }
  }

  health_check "smtp" {
    tls {
      key_file = "check_identity.hcl"
    }
  }

  health_check "agent" {}

  health_check "tcp" {
    weight {}
  }

  health_check "http" {
    weight {
      header  = "X-Weight"
      json    = "weight"
      maximum = 5
      minimum = 6
    }
  }

  real_server "192.0.2.11" {}
}
