# NAT (masquerading): two directors between the clients' network (eth0) and the real servers' network (eth1).
#
#   lb1: 202.99.59.111 on eth0, 192.168.10.252 on eth1      real servers: 192.168.10.1, .2 and .3,
#   lb2: 202.99.59.112 on eth0, 192.168.10.253 on eth1      their default gateway: 192.168.10.254
#
# Both directors read this same file: `lvs-ha run -c nat.hcl`. Each finds itself by its host name, or by --node.
# A director that forwards needs net.ipv4.ip_forward = 1.

variable "advertise_interval" {
  description = "A backup takes over after three of these and a little. Down to 10ms on a quiet network."
  default     = "1s"
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name] # the highest that lives is master
  advertise_interval = var.advertise_interval

  # What clients connect to.
  addresses = ["202.99.59.110/24"]

  # What the real servers answer through. It is in the same block, so it moves at the same moment: answers that took
  # another way than through the master would reach the clients unmasqueraded.
  address "192.168.10.254/24" { interface = "eth1" }

  # A director that does not reach the real servers must not be master.
  track_interface "eth1" {}

  # The master tells the backup its connections, so that they survive a failover.
  connection_sync { interface = "eth1" }
}

virtual_service "http" {
  address    = "202.99.59.110:80"
  scheduler  = "rr"
  forwarding = "nat"

  health_check "http" {
    path     = "/healthz"
    interval = "1s"
    timeout  = "500ms"
    fall     = 2
    rise     = 2
  }

  real_server "192.168.10.1:80" {}
  real_server "192.168.10.2:80" {}
  real_server "192.168.10.3:80" {}
}
