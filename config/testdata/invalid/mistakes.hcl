locals {
  nic = "eth0"
}

vrrp "web" {
  interface = nic
  addresses = ["192.0.2.10/33", "192.0.2.11/255.255.255.0", "192.0.2.12 255.255.255.0", "2001:db8::1/129", "192.0.2.13:80"]
  preempt   = yes
  enabled   = false
}

vrrp "two" {
  interface         = eth0.100
  virtual_router_id = 52
  addresses         = [vip]
  preempt           = "on"
}

virtual_service "http" {
  address    = "2001:db8::1:80"
  forwarding = nat
  scheduler  = "roundrobin"
  protocol   = "icmp"

  health_check "icmp" {}
  health_check "http" { body = file("ok.txt") }
  health_check "http" { host = titel("x") }

  real_server "2001:db8::2:3:4:5:6:7:8080" {}
}

virtual_service "url" {
  address    = "http://www.example.com/"
  forwarding = "gate"
}

sysctl = {
  manage = true
}
