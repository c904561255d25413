virtual_service "mark" {
  mark = 1

  health_check "tcp" {}

  real_server "192.0.2.11" {}
  real_server "192.0.2.12:80" {}

  real_server "192.0.2.13" {
    health_check "tcp" { port = 80 }
  }
}
