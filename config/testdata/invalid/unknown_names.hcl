variable "vip" { default = "192.0.2.10" }

locals { servers = ["192.0.2.11"] }

vrrp "web" {
  interface         = node.interface
  virtual_router_id = 51
  addresses         = [var.vpi]
  priority          = vra.vip
  preempt           = Hostname() == "lb1"
}

virtual_service "web" {
  address = "${var.vip}:80"

  dynamic "real_server" {
    for_each = local.server
    labels   = [real_server.value]
    content {}
  }
}
