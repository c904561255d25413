virtual_service "web" {
  address    = "192.0.2.10:80"
  protocol   = "tpc"
  scheduler  = "wlcc"
  forwarding = "masq"
  on_failure = "removed"

  real_server "192.0.2.11" { forwarding = "tunn" }
}
