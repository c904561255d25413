# Real servers whose weights follow their load, and several kinds of checks.
#
#   lb1 and lb2: 192.0.2.1 and .2 on eth0      real servers: 192.0.2.31 to .33, with the virtual addresses on lo
#
# To drain a server on both directors:
#   echo drain > /etc/lvs-ha/servers/192.0.2.31

vrrp "app" {
  interface          = "eth0"
  virtual_router_id  = 61
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.20/24", "192.0.2.21/24"]
}

virtual_service "app" {
  address   = "192.0.2.20:443"
  scheduler = "wlc"

  # After a first failure, the server is checked every 500 ms: it is out within 6 s, and otherwise checked only every 5 s.
  health_check "https" {
    path           = "/healthz"
    host           = "app.example.com"
    interval       = "5s"
    retry_interval = "500ms"
    timeout        = "3s"
  }

  # HAProxy's agent on each server reports its free capacity: "75%", "drain", "down".
  health_check "agent" {
    port = 9777
    send = "app\n" # which service is meant, if the agent serves several

    weight {
      minimum   = 10
      maximum   = 100
      smoothing = "10s"
    }
  }

  health_check "file" {
    path = "/etc/lvs-ha/servers/{address}"

    # A number of 3 takes 30 from the weight.
    weight {
      unit   = "added"
      factor = -10
    }
  }

  real_server "192.0.2.31" { weight = 100 }
  real_server "192.0.2.32" { weight = 100 }
  real_server "192.0.2.33" { weight = 200 }
}

# The server's answer to its check has a header with its free capacity. The weight changes by at most 10 a second.
virtual_service "api" {
  address   = "192.0.2.20:8080"
  scheduler = "wrr"

  health_check "http" {
    path = "/healthz"

    weight {
      header  = "X-Capacity"
      unit    = "percent"
      minimum = 10
      maximum = 100
      rate    = 10
    }
  }

  real_server "192.0.2.31" { weight = 100 }
  real_server "192.0.2.32" { weight = 100 }
}

# The answer is JSON: {"load": {"free": 75}}
virtual_service "reports" {
  address   = "192.0.2.20:8081"
  scheduler = "wrr"

  health_check "http" {
    path = "/status.json"

    weight {
      json = "load.free"
      unit = "percent"
    }
  }

  real_server "192.0.2.31" { weight = 100 }
  real_server "192.0.2.32" { weight = 100 }
}

# A script: exit status 0 is the configured weight, 1 a failure, 2 to 255 the weight 0 to 253.
virtual_service "jobs" {
  address   = "192.0.2.20:7000"
  scheduler = "wlc"

  health_check "script" {
    command  = ["/usr/local/lib/lvs-ha/jobs-weight", "--quiet"]
    interval = "10s"
    timeout  = "5s"
    weight {}
  }

  real_server "192.0.2.31" { weight = 100 }
  real_server "192.0.2.32" { weight = 100 }
}

virtual_service "dns" {
  address  = "192.0.2.21:53"
  protocol = "udp"

  # Either transport is enough.
  required_checks = "any"

  health_check "dns" {
    name = "www.example.com"
    type = "A"
  }

  health_check "dns" {
    name      = "www.example.com"
    type      = "A"
    transport = "tcp"
  }

  real_server "192.0.2.31" {}
  real_server "192.0.2.32" {}
}
