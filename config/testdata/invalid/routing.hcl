vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]

  route "10.1.0.1/16" { via = "192.0.2.1" }
  route "10.2.0.0/16" {}
  route "10.3.0.0/16" {
    type = "blackhole"
    via  = "192.0.2.1"
  }
  route "10.4.0.0/16" {
    via    = "2001:db8::1"
    source = "2001:db8::2"
  }
  route "2001:db8:1::/48" {
    interface = "eth0"
    scope     = "link"
  }
  route "10.5.0.0/16" {
    interface = "eth0"
    onlink    = true
    next_hop { weight = 2 }
  }

  rule { priority = 10 }
  rule {
    priority = 10
    from     = "192.0.2.1/24"
    to       = "2001:db8::/32"
    table    = 5
  }
  rule {
    priority = 40000
    fwmark   = "0x100/0xff"
    type     = "prohibit"
    table    = 5
  }
}

static_route "10.2.0.0/16" { interface = "eth1" }
static_route "default" { via = "192.0.2.1" }

static_address "192.0.2.10/24" {
  interface = "eth1"
}
static_address "192.0.2.0/24" {
  interface = "eth1"
  preferred = false
}
static_address "224.0.0.1" { interface = "eth1" }
static_address "192.0.2.11" {}

static_route "2001:db8:2::/48" { via = "fe80::1" }
static_route "2001:db8:3::/48" {
  next_hop { via = "fe80::1" }
}

static_route "10.77.0.0/16" {
  via          = "192.0.2.1"
  path_metrics = { advmss = 65496, mss = 1, window = 0 }
}

static_route "10.78.0.0/16" {
  via          = "192.0.2.1"
  path_metrics = { hoplimit = "many" }
}
