# NAT (masquerading): two directors between the clients' network (eth0) and the real servers' network (eth1).
#
#   lb1: 202.99.59.111 on eth0, 192.168.10.252 on eth1      real servers: 192.168.10.1, .2 and .3,
#   lb2: 202.99.59.112 on eth0, 192.168.10.253 on eth1      their default gateway: 192.168.10.254
#
# Both directors use this file. Each identifies itself by its host name, or by --node.
# NAT requires net.ipv4.ip_forward = 1. Set it in /etc/sysctl.d, or add `sysctl { manage = true }` to this file.

variable "advertise_interval" {
  description = "A backup takes over after slightly more than three intervals. As low as 10ms on a quiet network."
  default     = "1s"
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name] # the live router with the highest priority is master
  advertise_interval = var.advertise_interval

  # Clients connect to this address.
  addresses = ["202.99.59.110/24"]

  # The real servers' default gateway. It is in the same block so that it moves together with the address above:
  # replies that bypass the master would reach the clients with the real server's address.
  address "192.168.10.254/24" { interface = "eth1" }

  # A director whose link to the real servers is down must not be master. A fault behind the switch leaves the link up: to notice
  # that too, track the service, as in pool.hcl.
  track_interface "eth1" {}

  # Connections survive a failover.
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
