vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.10/24"]

  track "haproxi" {}
  track "words" {}
  track "words" { weight = -254 }
  track "relative" {}
  track "empty" {}
  track "file" {}
  track "two" {}
  track "few" {}
  track "https" {}
  track "http" {}
}

track_script "haproxy" { command = ["/usr/bin/pidof", "haproxy"] }
track_script "words" { command = ["/usr/bin/pidof haproxy"] }
track_script "relative" { command = ["check/haproxy.sh"] }
track_script "empty" {
  command = []
  init    = "good"
}
track_script "none" {}
track_file "file" { path = "run/maintenance" }
track_file "empty" { path = "/run/empty" }
track_process "two" {
  process = "nginx"
  command = ["nginx"]
}
track_process "few" {
  command = []
  minimum = 3
  maximum = 2
}
track_service "https" {}
track_service "http" { minimum = 2 }

virtual_service "http" {
  address = "192.0.2.10:80"
  real_server "198.51.100.1" {}
}
