# Direct routing: directors and real servers on one network. Real servers answer the clients themselves.
#
#   lb1: 202.99.59.109 on eth0      real servers: 202.99.59.108 and 202.99.59.107,
#   lb2: 202.99.59.106 on eth0      each with 202.99.59.110/32 on lo, arp_ignore = 1 and arp_announce = 2
#
# Both directors read this same file: `lvs-ha run -c dr.hcl`. Each finds itself by its host name, or by --node.

variable "advertise_interval" {
  description = "A backup takes over after three of these and a little. Down to 10ms on a quiet network."
  default     = "1s"
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name] # the highest that lives is master
  advertise_interval = var.advertise_interval
  addresses          = ["202.99.59.110/24"]

  # The master tells the backup its connections, so that they survive a failover. A link between the directors alone
  # is better than the network that clients use.
  connection_sync { interface = "eth0" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "dr"

  # It goes to a real server's own address.
  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
    rise     = 2
  }

  # Packets arrive as the clients sent them, so a real server listens on the service's port.
  real_server "202.99.59.108" {}
  real_server "202.99.59.107" {}
}
