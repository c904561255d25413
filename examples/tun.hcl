# Tunnelling: the real servers are in another network, and answer the clients by a way of their own.
#
#   lb1: 202.99.59.111 on eth0, 192.168.10.252 on eth1      real servers: 192.168.10.1, .2 and .3,
#   lb2: 202.99.59.112 on eth0, 192.168.10.253 on eth1      each with 202.99.59.110/32 on tunl0, which is up, with
#                                                           rp_filter = 0, arp_ignore = 1 and arp_announce = 2
#
# The real servers' way to the clients must not lead through a director: it would drop packets that come from its own
# virtual address. The tunnel takes 20 bytes of each packet: let the network between carry them, or lower the MSS.
#
# Both directors read this same file: `lvs-ha run -c tun.hcl`. Each finds itself by its host name, or by --node.

variable "advertise_interval" {
  description = "A backup takes over after three of these and a little. Down to 10ms on a quiet network."
  default     = "1s"
}

locals {
  web = [for n in range(1, 4) : cidrhost("192.168.10.0/24", n)]
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name] # the highest that lives is master
  advertise_interval = var.advertise_interval
  addresses          = ["202.99.59.110/24"]

  # A director that does not reach the real servers must not be master.
  track_interface "eth1" {}

  # The master tells the backup its connections, so that they survive a failover.
  connection_sync { interface = "eth1" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "tun"

  # It goes to a real server's own address.
  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
    rise     = 2
  }

  # One block for each address of the list. A tunnel block within would choose gue or gre instead of IP in IP.
  dynamic "real_server" {
    for_each = local.web
    labels   = [real_server.value]
    content {}
  }
}
