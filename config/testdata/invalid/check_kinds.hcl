virtual_service "web" {
  address = "192.0.2.10:80"

  health_check "tcp" {
    path   = "/"
    status = ["200"]

    tls {}
  }

  health_check "http" {
    tls { skip_verify = true }
  }

  health_check "htps" {}

  real_server "192.0.2.11" {}
}
