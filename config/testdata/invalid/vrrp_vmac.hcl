vrrp "unicast" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.1/24"]
  unicast_peers     = ["192.0.2.2"]
  vmac {}
}

vrrp "own" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.3/24"]
  vmac { interface = "eth0" }
}

vrrp "long" {
  interface         = "eth0"
  virtual_router_id = 53
  addresses         = ["192.0.2.4/24"]
  vmac { interface = "virtual-router-53" }
}

vrrp "again" {
  interface         = "eth1"
  virtual_router_id = 51
  addresses         = ["198.51.100.1/24"]
  vmac { xmit_base = true }
}

vrrp "empty" {
  interface         = "eth0"
  virtual_router_id = 54
  use_vmac          = true
  use_ipvlan        = true
  no_accept         = true
  vmac { no_accept = true }
  address "192.0.2.5/24" { interface = "eth2" }
}
