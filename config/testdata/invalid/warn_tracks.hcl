track_script "unused" { command = ["true"] }

track_script "weighted" {
  command = ["true"]
  weight  = -5
}

vrrp "owner" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = 255
  addresses         = ["192.0.2.10/24"]

  track "weighted" {}
}
