# A check for each protocol. To make the virtual addresses fail over, add a vrrp block as in pool.hcl.
#
# Besides the interval of all checks, each may have its own retry_interval, timeout, rise, fall and jitter.

variable "interval" {
  description = "from the start of a check to the start of the next"
  default     = "2s"
}

variable "monitor_password" {
  description = "of the user monitor, on the web servers"
  sensitive   = true
  default     = "replace-this"
}

# Several URLs: all must pass.
virtual_service "web" {
  address = "192.0.2.30:80"

  health_check "http" {
    interval = var.interval
    jitter   = "200ms" # a check may start up to this much earlier
    path     = "/healthz"
    host     = "www.example.com"
    headers  = { X-Checked-By = "lvs-ha" }
    status   = ["200", "204"]
    body     = "database: ok"
  }

  # A page that answers 200 and reports errors in its text, between its head and its log.
  health_check "http" {
    interval        = var.interval
    path            = "/status"
    body            = "(?i)error|degraded"
    body_absent     = true
    body_min_offset = 500
    body_max_offset = 4000
  }

  # The sum of the whole body, as md5sum, sha256sum and keepalived's genhash print it.
  health_check "http" {
    interval = var.interval
    path     = "/release.txt"
    digest   = "2551d657a2e6b9f09950a015977242a3"
    user     = "monitor"
    password = var.monitor_password
  }

  real_server "192.0.2.31" {}
}

virtual_service "https" {
  address = "192.0.2.30:443"

  health_check "https" {
    interval = var.interval
    method   = "HEAD"
    version  = "2"
    host     = "www.example.com"

    # For authorities other than the system's, and for servers that ask for a certificate:
    #   tls {
    #     ca_file   = "ca.pem"
    #     cert_file = "lvs-ha.pem"
    #     key_file  = "lvs-ha.key"
    #   }
  }

  real_server "192.0.2.31" {}
}

virtual_service "orders" {
  address = "192.0.2.30:50051"

  # The server's standard health service.
  health_check "grpc" {
    interval = var.interval
    service  = "example.v1.Orders"
    host     = "orders.example.com"
    tls {}
  }

  real_server "192.0.2.31" {}
}

# Only the Redis server that is the master.
virtual_service "redis" {
  address = "192.0.2.30:6379"

  health_check "tcp" {
    interval = var.interval
    send     = "INFO replication\r\nQUIT\r\n"
    expect   = "role:master"
  }

  real_server "192.0.2.31" {}
}

virtual_service "ldaps" {
  address = "192.0.2.30:636"

  health_check "tcp" {
    interval = var.interval
    tls { server_name = "ldap.example.com" }
  }

  real_server "192.0.2.31" {}
}

virtual_service "mail" {
  address = "192.0.2.30:25"

  health_check "smtp" {
    interval = var.interval
    helo     = "lb.example.com"
    starttls = true
    tls { skip_verify = true }
  }

  real_server "192.0.2.31" {}
}

virtual_service "dns" {
  address  = "192.0.2.30:53"
  protocol = "udp"

  health_check "dns" {
    interval = var.interval
    name     = "www.example.com"
    type     = "A"
    answers  = 1
  }

  real_server "192.0.2.31" {}
}

# A query of an NTP client, and the first byte of an answer: version 4, mode 4 (server). Each packet is scheduled by itself.
virtual_service "ntp" {
  address    = "192.0.2.30:123"
  protocol   = "udp"
  one_packet = true

  health_check "udp" {
    interval   = var.interval
    send_hex   = format("23%094d", 0)
    expect_hex = "24"
  }

  real_server "192.0.2.31" {}
}

virtual_service "sip" {
  address  = "192.0.2.30:5060"
  protocol = "udp"

  health_check "udp" {
    interval = var.interval
    send     = "OPTIONS sip:lb@example.com SIP/2.0\r\nVia: SIP/2.0/UDP lb.example.com;branch=z9hG4bK1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
    expect   = "^SIP/2\\.0 200 "
  }

  real_server "192.0.2.31" {}
}

# A syslog server does not answer, so the check pings its host. The packets leave through eth0, with a mark for this host's
# routing rules.
virtual_service "syslog" {
  address  = "192.0.2.30:514"
  protocol = "udp"

  health_check "ping" {
    interval = var.interval
    source {
      interface = "eth0"
      mark      = 7
    }
  }

  real_server "192.0.2.31" {}
}

# The exit status of a command on this host. It gets the server's address in LVS_HA_ADDRESS, its port in LVS_HA_PORT.
virtual_service "search" {
  address = "192.0.2.30:9200"

  health_check "script" {
    interval = var.interval
    timeout  = "5s"
    command  = ["curl --silent --fail \"http://$LVS_HA_ADDRESS:$LVS_HA_PORT/_cluster/health\" | grep --quiet '\"status\":\"green\"'"]
    shell    = true
    user     = "nobody"
    group    = "nogroup"
  }

  real_server "192.0.2.31" {}
}
