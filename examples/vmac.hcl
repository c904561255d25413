# A gateway with a virtual MAC address: hosts keep their ARP and neighbour entries when the other router takes over.
# The routers themselves do not answer on the gateway's addresses.

vrrp "gateway" {
  interface          = "eth0"
  virtual_router_id  = 10
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.10/24"]

  vmac { accept = false }
}

vrrp "gateway6" {
  interface          = "eth0"
  virtual_router_id  = 10
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["fe80::10/64", "2001:db8::10/64"]

  vmac { accept = false }
}
