# A single director without failover. It balances connections to an existing address of the host, and takes real servers
# that do not answer out of service.

virtual_service "http" {
  address    = "192.0.2.10:80"
  forwarding = "nat"

  health_check "http" { path = "/healthz" }

  real_server "198.51.100.11:8080" {}
  real_server "198.51.100.12:8080" { weight = 2 } # twice as many connections
}
