# Many addresses and ports that share their real servers. Each is a virtual service of its own; identical checks run once.
#
#   lb1 and lb2: 192.0.2.1 and .2 on eth0      real servers: 192.0.2.21 and .22, with the virtual addresses on lo
#
# lvs-ha drain 'web-*/192.0.2.21' drains a real server in all of them.

locals {
  addresses = [for n in range(100, 104) : "192.0.2.${n}"]
  services  = flatten([for a in local.addresses : [for port in [80, 443] : "${a}:${port}"]])
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = [for a in local.addresses : "${a}/24"]
}

dynamic "virtual_service" {
  for_each = local.services
  labels   = ["web-${virtual_service.value}"]
  content {
    address = virtual_service.value

    health_check "http" {
      port = 80
      path = "/healthz"
    }

    dynamic "real_server" {
      for_each = ["192.0.2.21", "192.0.2.22"]
      labels   = [real_server.value]
      content {}
    }
  }
}
