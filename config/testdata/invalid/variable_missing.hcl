variable "vip" {
  type = string
}

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 300
  addresses         = [var.vip]
}
