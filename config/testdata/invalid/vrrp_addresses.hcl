vrrp "none" {
  interface         = "eth0"
  virtual_router_id = 51
}

vrrp "mixed" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.10/24", "2001:db8::10/64", "192.0.2.10"]
}

vrrp "wrong" {
  interface         = "eth0"
  virtual_router_id = 53
  addresses         = ["192.0.2.0/24", "192.0.2.255/24", "224.0.0.1", "127.0.0.1/8", "192.0.2.300", "192.0.2.1/33"]
}

vrrp "label" {
  interface         = "eth0"
  virtual_router_id = 54

  address "192.0.2.40/24" { label = "eth0:much-too-long" }
}

vrrp "label6" {
  interface         = "eth0"
  virtual_router_id = 55

  address "2001:db8::40/64" { label = "eth0:vip" }
}

vrrp "attributes" {
  interface         = "eth0"
  virtual_router_id = 56

  address "192.0.2.50/24" {
    scope     = "nowhere"
    broadcast = "2001:db8::1"
    peer      = "192.0.2.51"
    preferred = true
  }
  address "192.0.2.51" {
    broadcast = "all"
    peer      = "192.0.2.51"
  }
}

vrrp "attributes6" {
  interface         = "eth0"
  virtual_router_id = 57

  address "2001:db8::50/64" {
    scope     = "link"
    broadcast = "192.0.2.255"
    peer      = "192.0.2.51"
  }
}
