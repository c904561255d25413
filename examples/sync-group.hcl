# A router pair: the outer and the inner address move together, so that packets and their answers take the same node.
# If a link of the active node fails, the other node takes over both addresses.

sync_group "router" {
  instances = ["outside", "inside"]
}

# Both interfaces are on the same switch, which drops gratuitous ARP above 1,000 packets a second.
announce_limit {
  interfaces   = ["eth0", "eth1"]
  arp_interval = "1ms"
}

vrrp "outside" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.10/24"]

  # Only on the active node: packets from the inside leave by the provider's router.
  route "0.0.0.0/0" {
    via    = "192.0.2.254"
    source = "192.0.2.10"
    table  = 100
  }
  rule {
    priority = 1000
    from     = "198.51.100.0/24"
    table    = 100
  }
}

vrrp "inside" {
  interface          = "eth1"
  virtual_router_id  = 52
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["198.51.100.10/24"]
}
