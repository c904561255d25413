vrrp "delay" {
  interface         = "eth0"
  virtual_router_id = 51
  preempt           = false
  preempt_delay     = "10s"
  addresses         = ["192.0.2.10/24"]
}

vrrp "owner" {
  interface         = "eth0"
  virtual_router_id = 52
  priority          = 255
  preempt           = false
  addresses         = ["192.0.2.20/24"]
}
