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

# A second gateway for hosts that do not ping it but use services on it: the routers answer. Adverts come from the MAC address of eth0,
# for switches that allow only one router to send from the virtual one; these learn it from announcements alone.
vrrp "services" {
  interface          = "eth0"
  virtual_router_id  = 11
  priority           = { lb1 = 100, lb2 = 150 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.11/24"]

  vmac {
    interface = "services"
    xmit_base = true
  }

  # Less than the switches' ageing time.
  announce { refresh = "60s" }
}
