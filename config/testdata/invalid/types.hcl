director {
  grace   = 5
  on_stop = true
}

vrrp "web" {
  interface         = ["eth0"]
  virtual_router_id = "fifty"
  priority          = 1.5
  preempt           = "maybe"
  addresses         = "192.0.2.10/24"
  unicast_peers     = ["192.0.2.1", null, "lb2", "192.0.2.2/24"]
  source_address    = "::ffff:192.0.2.1"
}

virtual_service "web" {
  address = "example.com:80"
  mark    = "x"

  health_check "http" {
    interval = "2"
    timeout  = "1 second"
    headers  = ["a"]
    status   = 200
    method   = "get"
  }

  real_server "fe80::1%eth0" {}
  real_server "192.0.2.11:http" { weight = null }
}
