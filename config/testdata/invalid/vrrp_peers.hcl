vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]
  source_address    = "192.0.2.10"
  unicast_peers     = ["192.0.2.2", "192.0.2.2", "2001:db8::2", "192.0.2.10", "224.0.0.18"]
}

vrrp "self" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.20/24"]
  source_address    = "192.0.2.1"
  unicast_peers     = ["192.0.2.1"]
}

vrrp "family" {
  interface         = "eth0"
  virtual_router_id = 53
  addresses         = ["192.0.2.30/24"]
  source_address    = "2001:db8::1"
  multicast_address = "192.0.2.1"
}

vrrp "multicast" {
  interface         = "eth0"
  virtual_router_id = 54
  addresses         = ["192.0.2.40/24"]
  multicast_address = "224.0.0.88"
  unicast_peers     = ["192.0.2.2"]
}

vrrp "multicast6" {
  interface         = "eth0"
  virtual_router_id = 54
  addresses         = ["2001:db8::40/64"]
  multicast_address = "ff05::88"
}
