# Direct routing: directors and real servers share a network. Real servers answer the clients directly.
#
#   lb1: 202.99.59.109 on eth0      real servers: 202.99.59.108 and 202.99.59.107,
#   lb2: 202.99.59.106 on eth0      each with 202.99.59.110/32 on lo, arp_ignore = 1 and arp_announce = 2
#                                   (lvs-ha realserver up --vip 202.99.59.110)
#
# Both directors use this file. Each identifies itself by its host name, or by --node.

variable "advertise_interval" {
  description = "A backup takes over after slightly more than three intervals. As low as 10ms on a quiet network."
  default     = "1s"
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name] # the live router with the highest priority is master
  advertise_interval = var.advertise_interval
  addresses          = ["202.99.59.110/24"]

  # Connections survive a failover. A dedicated link between the directors is better than the clients' network.
  connection_sync { interface = "eth0" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "dr"

  # Checks go to the real server's own address.
  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
    rise     = 2
  }

  # Packets arrive unchanged, so real servers must listen on the service's port.
  real_server "202.99.59.108" {}
  real_server "202.99.59.107" {}
}
