# Real servers that are listed by DNS and by a file: a pool that changes needs no reload.
#
#   lb1 and lb2: 202.99.59.111 and .112 on eth0, 192.168.10.252 and .253 on eth1
#   real servers: in 192.168.10.0/24, their default gateway: 192.168.10.254      DNS server: 192.168.10.3

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["202.99.59.110/24"]
  address "192.168.10.254/24" { interface = "eth1" }
}

# One server for each A record. The next query is sent when the TTL of the answer has expired, within these bounds.
virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "nat"

  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    rise     = 1
  }

  discover "dns" {
    name      = "web.example.com"
    resolvers = ["192.168.10.3"] # without it, those of /etc/resolv.conf
    min_ttl   = "1s"
    max_ttl   = "30s"
    drain     = "5m" # how long a server that is no longer listed keeps its connections
  }
}

# SRV records have ports and weights, such as those of Consul, Nomad and Kubernetes.
virtual_service "api" {
  address    = "202.99.59.110:8080"
  scheduler  = "wlc"
  forwarding = "nat"

  health_check "tcp" {
    interval = "1s"
    rise     = 1
  }

  discover "dns" {
    name      = "_api._tcp.example.com"
    type      = "SRV"
    resolvers = ["192.168.10.3"]
    timeout   = "500ms"
  }
}

# Some other program writes this file. A real_server block is a server that is always there.
virtual_service "admin" {
  address   = "202.99.59.110:8443"
  scheduler = "wrr"

  health_check "tcp" {
    interval = "1s"
    rise     = 1
  }

  real_server "192.168.10.3:80" { forwarding = "nat" }

  discover "file" {
    path        = "/run/registry/admin.json"
    allow_empty = true

    # of all listed servers, unless the file has a port and a weight
    port            = 80
    weight          = 10
    forwarding      = "nat"
    upper_threshold = 1000
    lower_threshold = 800
  }
}
