# A router pair with two providers: hosts inside use both through the active router. Static addresses, routes and rules are on both
# routers at all times.
#
#   eth0: to the providers' routers, 192.0.2.253 and .254      eth1: the inside, 198.51.100.0/24      eth2: a cable between lb1 and lb2

# Each router's end of the cable.
dynamic "static_address" {
  for_each = [{ lb1 = "10.0.0.1/32", lb2 = "10.0.0.2/32" }[node.name]]
  labels   = [static_address.value]
  content {
    interface = "eth2"
    peer      = { lb1 = "10.0.0.2", lb2 = "10.0.0.1" }[node.name]
    scope     = "link"
  }
}

# The other offices, through a tunnel of a host inside.
static_route "10.1.0.0/16" {
  via    = "198.51.100.253"
  metric = 10
  mtu    = 1400

  path_metrics = { advmss = 1360, initcwnd = 20 }
}

# Packets to other private networks never leave through a provider.
static_route "10.0.0.0/8" { type = "unreachable" }

# Packets with this mark, such as those of a backup job, leave through the second provider, on the backup too.
static_rule {
  priority = 900
  fwmark   = "0x10/0xff"
  table    = 102
}
static_route "0.0.0.0/0" {
  interface = "eth0"
  via       = "192.0.2.254"
  table     = 102
}

vrrp "inside" {
  interface          = "eth1"
  virtual_router_id  = 52
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["198.51.100.10/24"]

  # The address that the providers route to us. It is in no network of the interface.
  address "203.0.113.10/32" { interface = "eth0" }

  track_interface "eth0" {}

  # Two of three connections leave through the first provider.
  route "0.0.0.0/0" {
    source = "203.0.113.10"
    table  = 101
    next_hop {
      via    = "192.0.2.253"
      weight = 2
    }
    next_hop {
      interface = "eth0"
      via       = "192.0.2.254"
    }
  }
  rule {
    priority = 1000
    from     = "198.51.100.0/24"
    iif      = "eth1"
    table    = 101
  }

  # Hosts inside cannot reach the providers' management network.
  rule {
    priority = 950
    to       = "192.0.2.128/26"
    iif      = "eth1"
    type     = "prohibit"
  }
}
