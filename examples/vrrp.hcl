# Failover of addresses without load balancing, for a router, a database or another clustered service.
# IPv4 and IPv6 need separate blocks, which may share the virtual_router_id.

vrrp "gateway" {
  interface         = "eth0"
  virtual_router_id = 10
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  addresses         = ["192.0.2.10/24"]
}

vrrp "gateway6" {
  interface         = "eth0"
  virtual_router_id = 10
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  addresses         = ["fe80::10/64", "2001:db8::10/64"]
}

# Without multicast, as in many clouds, directors send adverts to each other's own address.
vrrp "cloud" {
  interface         = "eth1"
  virtual_router_id = 11
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  addresses         = ["198.51.100.10/24"]
  unicast_peers     = { lb1 = ["198.51.100.12"], lb2 = ["198.51.100.11"] }[node.name]

  # One router between the directors decrements the TTL of adverts from 255 to 254.
  unicast_min_ttl = 254

  # A backup follows a master with an advertise_interval of up to ten times its own.
  adopt_interval_factor = 10
}
