# Tunnelling: the real servers are in another network and answer the clients directly.
#
#   lb1: 202.99.59.111 on eth0, 192.168.10.252 on eth1      real servers: 192.168.10.1, .2 and .3,
#   lb2: 202.99.59.112 on eth0, 192.168.10.253 on eth1      each with 202.99.59.110/32 on tunl0, which is up, with
#                                                           rp_filter = 2, arp_ignore = 1 and arp_announce = 2
#                                                           (lvs-ha realserver up --mode tun --vip 202.99.59.110)
#
# The real servers' route to the clients must not lead through a director: a director drops packets with its own virtual
# address as the source. The tunnel adds 20 bytes to each packet: increase the MTU of the network between, or lower the MSS.
#
# Both directors use this file. Each identifies itself by its host name, or by --node.

variable "advertise_interval" {
  description = "A backup takes over after slightly more than three intervals. As low as 10ms on a quiet network."
  default     = "1s"
}

locals {
  web = [for n in range(1, 4) : cidrhost("192.168.10.0/24", n)]
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name] # the live router with the highest priority is master
  advertise_interval = var.advertise_interval
  addresses          = ["202.99.59.110/24"]

  # A director whose link to the real servers is down must not be master. A fault behind the switch leaves the link up: to notice
  # that too, track the service, as in pool.hcl.
  track_interface "eth1" {}

  # Connections survive a failover.
  connection_sync { interface = "eth1" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "tun"

  # Checks go to the real server's own address.
  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
    rise     = 2
  }

  # One block for each address of the list. For GUE or GRE instead of IP in IP, add a tunnel block to its content.
  dynamic "real_server" {
    for_each = local.web
    labels   = [real_server.value]
    content {}
  }
}
