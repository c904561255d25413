virtual_service "web" {
  address         = "192.0.2.10:80"
  scheduler       = "mh"
  scheduler_flags = ["mh-port", "sh-port", "mh-fallbck"]

  real_server "192.0.2.11" {}
}
