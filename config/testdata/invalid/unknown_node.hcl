locals {
  priority = { lb2 = 150, lb3 = 100 }
}

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
  priority          = { lb2 = 150, lb3 = 100 }[node.name]
  source_address    = { lb2 = { ip = "192.0.2.2" } }[node.name].ip
}

vrrp "lookup" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.20/24"]
  priority          = lookup(local.priority, node.name)
}

virtual_service "web" {
  address = "192.0.2.10:80"

  real_server "192.0.2.11" { weight = local.priority[node.name] }
}
