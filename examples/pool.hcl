# Real servers that need care: a quorum with a sorry server, a floor, slow start, weights, notifications.
#
#   lb1 and lb2: 192.0.2.1 and .2 on eth0      real servers: 192.0.2.21 to .24, with the virtual address on lo
#
# Maintenance of a real server:
#   lvs-ha drain --wait --for 1h --reason 'kernel upgrade' shop/192.0.2.21
#   lvs-ha enable shop/192.0.2.21

variable "pager_token" {
  description = "of the web service that is notified of a lost quorum"
  sensitive   = true
  default     = "replace-this"
}

variable "mail_password" {
  description = "of the mail server's user lb"
  sensitive   = true
  default     = "replace-this"
}

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

  # A server that fails its checks gets no new connections and keeps those it has.
  on_failure = "weight"

  # When a server is removed, for example by a reload, downloads from it have half a minute to finish.
  linger = "30s"

  # The backup does not check: each real server is checked by one director only.
  check_on = "master"

  # A new server is used before its first result, even if a director takes over that has never checked it.
  init = "up"

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
  real_server "192.0.2.23" {
    weight = 100

    # It fills its caches when it starts: it is not used before its check passes.
    init = "down"
  }
  real_server "192.0.2.24" {
    weight = 200

    # At 10,000 connections it gets no more until it has fewer than 9,000.
    upper_threshold = 10000
    lower_threshold = 9000

    # Unlike the others, it keeps its connections for half a minute only if it fails.
    on_failure = "remove"
  }

  # In another network, through a tunnel.
  sorry_server "198.51.100.99" {
    forwarding = "tun"

    tunnel {
      type = "gue"
      port = 6080
    }

    health_check "tcp" {}
  }

  # Announce the address to the router while the service has its quorum, and withdraw it also when lvs-ha stops.
  notify {
    up      = ["/usr/local/sbin/announce", "add", "192.0.2.10"]
    down    = ["/usr/local/sbin/announce", "withdraw", "192.0.2.10"]
    at_stop = true
    user    = "root"
  }
}

# Receivers of notifications: a program that reads lines, a web service (services only), and the operators, by mail.
notify_fifo "/run/lvs-ha/pool.fifo" {
  mode   = "0640"
  events = ["service", "server"]
}

notify_webhook "pager" {
  url     = "https://alerts.example.com/pool"
  headers = { Authorization = "Bearer ${var.pager_token}" }
  events  = ["service"]
  timeout = "2s"
  retries = 10
}

notify_email "operators" {
  smtp     = "mail.example.com:465"
  tls      = "tls"
  from     = "lb@example.com"
  to       = ["operators@example.com"]
  username = "lb"
  password = var.mail_password
  events   = ["vrrp", "service", "server"]
  interval = "5m"
  retries  = 3
}
