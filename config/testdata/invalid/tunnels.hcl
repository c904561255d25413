virtual_service "web" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11" {
    tunnel { type = "gre" }
  }

  real_server "192.0.2.12" {
    forwarding = "tun"

    tunnel { type = "gue" }
  }

  real_server "192.0.2.13" {
    forwarding = "tun"

    tunnel {
      type     = "gre"
      port     = 6080
      checksum = "remcsum"
    }
  }

  real_server "192.0.2.14" {
    forwarding = "tun"

    tunnel { checksum = "csum" }
  }

  real_server "192.0.2.15" {
    forwarding = "tun"

    tunnel {
      type     = "vxlan"
      checksum = "yes"
    }
  }
}
