virtual_service "web" {
  address = "192.0.2.10:80"

  health_check "tcp" {
    interval = "1s"
    timeout  = "2s" # the next check waits for it
    jitter   = "2s"
  }

  health_check "tcp" {
    interval = "1ms"
    timeout  = "1us"
    rise     = 0
    fall     = 1001
  }

  health_check "tcp" { timeout = "0s" }

  real_server "192.0.2.11" {}
}
