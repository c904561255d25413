# Failover of addresses without load balancing, for a router, a database or another clustered service.
# IPv4 and IPv6 need separate blocks, which may share the virtual_router_id.

vrrp "gateway" {
  interface         = "eth0"
  virtual_router_id = 10
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  addresses         = ["192.0.2.1/24"]
}

vrrp "gateway6" {
  interface         = "eth0"
  virtual_router_id = 10
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  addresses         = ["fe80::1/64", "2001:db8::1/64"]
}
