# Clients that return to the same real server: by address, network, firewall mark, call, or a hash.
#
#   lb1 and lb2: 192.0.2.1 and .2, 2001:db8::1 and ::2 on eth0
#   real servers: 192.0.2.41 and .42, 2001:db8::41 and ::42, with the virtual addresses on lo

vrrp "services" {
  interface          = "eth0"
  virtual_router_id  = 71
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.40/24"]
}

vrrp "services6" {
  interface          = "eth0"
  virtual_router_id  = 71
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["fe80::40/64", "2001:db8::40/64"]
}

# An established connection that is idle for longer is forgotten.
timeouts {
  tcp     = "1h"
  tcp_fin = "1m"
  udp     = "5m"
}

# A client, until 10 minutes after its last connection.
virtual_service "shop" {
  address = "192.0.2.40:443"

  persistence { timeout = "10m" }

  health_check "tcp" {}

  real_server "192.0.2.41" {}
  real_server "192.0.2.42" {}
}

# All clients of a provider's proxies, which are in one network. IPv6 networks have a prefix.
virtual_service "proxies" {
  address = "192.0.2.40:8443"

  persistence { netmask = "255.255.255.0" }

  health_check "tcp" {}

  real_server "192.0.2.41" {}
  real_server "192.0.2.42" {}
}

virtual_service "proxies6" {
  address = "[2001:db8::40]:8443"

  persistence { prefix = 56 }

  health_check "tcp" {}

  real_server "2001:db8::41" {}
  real_server "2001:db8::42" {}
}

# FTP has a control connection and a data connection. A mark makes them one service:
#   iptables -t mangle -A PREROUTING -d 192.0.2.40 -p tcp -m multiport --dports 21,50000:51000 -j MARK --set-mark 1
virtual_service "ftp" {
  mark   = 1
  family = "ipv4"

  persistence { timeout = "5m" }

  health_check "tcp" { port = 21 }

  real_server "192.0.2.41" {}
  real_server "192.0.2.42" {}
}

# A call, by its Call-ID.
virtual_service "sip" {
  address  = "192.0.2.40:5060"
  protocol = "udp"

  persistence { engine = "sip" }

  health_check "ping" {}

  real_server "192.0.2.41" {}
  real_server "192.0.2.42" {}
}

# Without state: a hash of the client's address and port, with which few clients move if a server fails. Both directors choose
# the same server.
virtual_service "cache" {
  address         = "192.0.2.40:3128"
  scheduler       = "mh"
  scheduler_flags = ["mh-port", "mh-fallback"]

  health_check "tcp" {}

  real_server "192.0.2.41" {}
  real_server "192.0.2.42" {}
}
