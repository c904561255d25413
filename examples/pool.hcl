# Real servers that need care: a quorum with a sorry server, a floor, slow start, weights.
#
#   lb1 and lb2: 192.0.2.1 and .2 on eth0      real servers: 192.0.2.21 to .24, with the virtual address on lo
#
# Maintenance of a real server:
#   lvs-ha drain --wait --for 1h --reason 'kernel upgrade' shop/192.0.2.21
#   lvs-ha enable shop/192.0.2.21

vrrp "shop" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.10/24"]

  # The other director takes over if it still has a quorum.
  track "shop" { weight = -60 }
}

track_service "shop" {}

virtual_service "shop" {
  address   = "192.0.2.10:443"
  scheduler = "wlc"

  # Two servers can carry the load. With fewer, the sorry server asks clients to come back later. Three are needed to return.
  quorum {
    servers    = 2
    hysteresis = 1
  }

  # If nearly all checks fail at once, the checks are more likely wrong than the servers.
  min_up = "25%"

  # A restarted server has cold caches: within a minute, its weight rises in steps.
  slow_start = "1m"

  health_check "https" {
    path = "/healthz"
    host = "shop.example.com"
  }

  real_server "192.0.2.21" { weight = 100 }
  real_server "192.0.2.22" { weight = 100 }
  real_server "192.0.2.23" { weight = 100 }
  real_server "192.0.2.24" { weight = 200 }

  sorry_server "192.0.2.99" {
    health_check "tcp" {}
  }
}
