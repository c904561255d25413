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
  track "signal" {}
  track "signal-shell" {}
  track "signal-root" {}
}

track_script "signal" { command = ["/usr/bin/killall", "-0", "haproxy"] }

track_script "signal-shell" {
  command = ["killall -0 haproxy || exit 1"]
  shell   = true
}

track_script "signal-root" {
  command = ["killall", "-0", "haproxy"]
  user    = "root"
}
