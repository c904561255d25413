# Every attribute and block once, none at its default.
variable "vip" {
  description = "the virtual address of the shop"
  type        = string
  default     = "192.0.2.10"
  sensitive   = false

  validation {
    condition     = cidrhost("${var.vip}/24", 0) == "192.0.2.0"
    error_message = "The virtual address must be in 192.0.2.0/24."
  }
}

node { name = lower(hostname()) }

locals {
  peers = { for name, address in local.own : name => address if name != node.name }
  own   = { lb1 = "192.0.2.1", lb2 = "192.0.2.2" }
}

director {
  grace           = "3s"
  on_stop         = "remove"
  repair_interval = "500ms"
}

api {
  group = "adm"

  listen "192.0.2.1:9180" {
    certificate_file = "/etc/lvs-ha/api.pem"
    key_file         = "/etc/lvs-ha/api.key"
    client_ca_file   = "/etc/lvs-ha/clients.pem"
    token_file       = "/etc/lvs-ha/token"
    write            = true
  }
}

sysctl { manage = true }

timeouts {
  tcp     = "15m"
  tcp_fin = "1m"
  udp     = "2m"
}

sync_group "shop" {
  instances = ["pair", "six"]

  track "quorum" { weight = 5 }

  notify { all = ["/usr/local/sbin/notify"] }
}

track_service "quorum" { service = "shop" }

track_script "haproxy" {
  command  = ["/usr/bin/pidof", "haproxy"]
  shell    = true
  user     = "haproxy"
  group    = "adm"
  interval = "2s"
  timeout  = "500ms"
  rise     = 2
  fall     = 3
  init     = "failed"
  weight   = 10
  reverse  = false
}

track_file "maintenance" {
  path    = "/run/maintenance"
  weight  = -2
  reverse = true
}

track_process "nginx" {
  process    = "nginx"
  minimum    = 2
  maximum    = 9
  delay_up   = "1s"
  delay_down = "100ms"
  weight     = 20
  reverse    = true
}

track_process "worker" {
  command = ["/usr/bin/python3", "worker.py"]
}

track_service "sip" {
  service = "sip"
  minimum = 1
  weight  = 30
  reverse = true
}

vrrp "shop" {
  interface          = "eth0"
  virtual_router_id  = 51
  version            = 3
  priority           = { lb1 = 150, lb2 = 120 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["${var.vip}/24", "192.0.2.11"]
  excluded_addresses = ["192.0.2.12/24"]
  preempt            = true
  preempt_delay      = "30s"
  source_address     = local.own[node.name]
  unicast_peers      = values(local.peers)
  checksum           = "without-pseudo"

  address "198.51.100.1/24" {
    interface = "eth1"
    label     = "eth1:gw"
    excluded  = true
    scope     = "link"
    broadcast = "none"

    prefix_route = false
  }

  address "198.51.100.3/31" { peer = "198.51.100.2" }

  route "0.0.0.0/0" {
    via    = "198.51.100.254"
    source = "198.51.100.1"
    table  = 100
    metric = 5
    mtu    = 1400

    path_metrics = { advmss = 1360, initcwnd = 20 }
  }

  route "10.8.0.0/16" {
    next_hop {
      via    = "198.51.100.253"
      weight = 2
    }
    next_hop {
      via       = "203.0.113.1"
      interface = "eth1"
      onlink    = true
    }
  }

  route "10.9.0.0/16" { type = "blackhole" }

  rule {
    priority = 1000
    from     = "198.51.100.1"
    fwmark   = "0x10/0xff"
    iif      = "eth0"
    table    = 100
  }

  track_interface "eth1" { weight = -60 }
  track_interface "eth2" { reverse = true }

  track "haproxy" {
    weight  = -5
    reverse = true
  }
  track "maintenance" {}
  track "nginx" {}
  track "sip" {}
  track "worker" {}

  announce {
    count        = 3
    repeat_after = "2s"
    refresh      = "60s"
  }

  vmac {
    interface = "shop"
    accept    = false
    xmit_base = true
  }

  connection_sync {
    interface  = "eth2"
    sync_id    = 7
    maxlen     = 1400
    group      = "224.0.0.99"
    port       = 8849
    ttl        = 2
    learn_time = "20s"
  }
}

vrrp "old" {
  interface          = "eth0"
  virtual_router_id  = 52
  version            = 2
  priority           = 90
  advertise_interval = "2s"
  addresses          = ["192.0.2.20/24"]
  preempt            = false
  auth_pass          = "s3cret"
}

vrrp "pair" {
  interface         = "eth3"
  virtual_router_id = 51
  addresses         = ["192.0.2.51/24"]
  multicast_address = "224.0.0.88"
}

vrrp "six" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["fe80::51/64", "2001:db8::10/64"]
}

static_address "10.7.0.1/24" {
  interface = "eth3"
  label     = "eth3:own"
}

static_route "2001:db8:7::/48" {
  via       = "fe80::7"
  interface = "eth3"
}

announce_limit {
  interfaces   = ["eth0", "eth3"]
  arp_interval = "1.5ms"
}

announce_limit {
  arp_interval = "10ms"
  na_interval  = "20us"
}

static_rule {
  priority = 1001
  to       = "2001:db8:7::/48"
  type     = "prohibit"
  oif      = "eth0"
}

virtual_service "shop" {
  address         = "${var.vip}:443"
  protocol        = "tcp"
  scheduler       = "sh"
  scheduler_flags = ["sh-fallback", "sh-port"]
  forwarding      = "nat"
  on_failure      = "weight"

  persistence {
    timeout = "10m"
    prefix  = 24
  }

  health_check "https" {
    interval = "5s"
    timeout  = "2s"
    rise     = 3
    fall     = 2
    port     = 8443
    method   = "POST"
    path     = "/health?full=1"
    host     = "shop.example.com"
    headers  = { Authorization = "Bearer abcdef", Accept = "text/plain" }
    status   = [200, "204-206"]
    body     = "^ok"

    tls {
      skip_verify = false
      server_name = "shop.internal"
      ca_file     = "ca.pem"
    }
  }

  health_check "tcp" { address = "192.0.2.99" }

  real_server "198.51.100.11:8443" {
    weight          = 100000
    upper_threshold = 1000
    lower_threshold = 800
    on_failure      = "weight"
    init            = "up"
  }

  real_server "198.51.100.12" {
    forwarding = "dr"

    health_check "http" {
      method = "HEAD"
    }
  }

  real_server "198.51.100.13" {
    forwarding = "tun"

    tunnel {
      type     = "gue"
      port     = 6080
      checksum = "remcsum"
    }
  }
}

virtual_service "sip" {
  address    = "[2001:db8::10]:5060"
  protocol   = "udp"
  one_packet = true

  persistence {
    prefix = 64
    engine = "sip"
  }

  real_server "[2001:db8::21]" {}
}

virtual_service "marked" {
  mark   = 5
  family = "ipv6"

  min_up     = "30%"
  slow_start = "30s"
  linger     = "5s"
  init       = "up"

  notify {
    up      = ["/usr/local/sbin/announce", "add"]
    down    = ["/usr/local/sbin/announce", "withdraw"]
    at_stop = true
  }

  quorum {
    weight     = 3
    hysteresis = 1
  }

  real_server "2001:db8::31" { weight = 0 }
  real_server "2001:db8::32" {
    weight = 40
    notify {
      all   = ["logger -t lvs \"$2 is $3\""]
      shell = true
      user  = "root"
    }
  }
  sorry_server "2001:db8::33" {
    forwarding = "nat"
    health_check "tcp" { port = 80 }
  }
}

virtual_service "every-port" {
  address = "192.0.2.11"

  persistence { netmask = "255.255.0.0" }

  dynamic "real_server" {
    for_each = [for n in range(1, 4) : cidrhost("203.0.113.0/24", n)]
    iterator = host
    labels   = [host.value]
    content { weight = host.key + 1 }
  }
}

notify_fifo "/run/lvs-ha/notify.fifo" {
  mode   = "0640"
  events = ["service", "server"]
}

notify_webhook "pager" {
  url     = "https://alerts.example.com/vrrp"
  headers = { Authorization = "Bearer hunter22" }
  retries = 3
  timeout = "2s"
  ca_file = "ca.pem"
}

notify_email "ops" {
  smtp     = "mail.example.com:465"
  from     = "LVS <lb1@example.com>"
  to       = ["ops@example.com"]
  tls      = "tls"
  username = "lb1"
  password = "hunter22"
  interval = "5m"
  retries  = 1
  ca_file  = "ca.pem"
}

vrrp "cloud" {
  interface         = "eth0"
  virtual_router_id = 77
  addresses         = ["192.0.2.77/32"]
  notify {
    master  = ["/usr/local/sbin/move-address", "up"]
    backup  = ["/usr/local/sbin/move-address", "down"]
    fault   = ["/usr/local/sbin/move-address", "down"]
    stop    = ["/usr/local/sbin/move-address", "down"]
    all     = ["logger -t vrrp \"$@\""]
    user    = "root"
    group   = "adm"
    timeout = "10s"
    shell   = true
  }
}
