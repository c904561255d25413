virtual_service "all" {
  address         = "192.0.2.10:80"
  required_checks = 2

  health_check "tcp" {
    send           = "PING\r\n"
    expect         = "PONG"
    interval       = "6s"
    timeout        = "10s"
    retry_interval = "500ms"
    jitter         = "2s"
    tls { skip_verify = true }
    source {
      address   = "192.0.2.1"
      interface = "eth1"
      mark      = 7
    }
  }
  health_check "udp" {
    send_hex   = "0d 0a"
    expect_hex = "c0 xx"
  }
  health_check "dns" {
    name    = "www.example.com"
    type    = "A"
    answers = 1
  }
  health_check "smtp" {
    helo     = "lb1.example.com"
    starttls = true
  }
  health_check "ping" {}
  health_check "grpc" { service = "example.v1.Orders" }
  health_check "http" {
    version  = "2"
    user     = "probe"
    password = "hunter22"
    digest   = "5d41402abc4b2a76b9719d911017c592"
    weight {
      json      = "load.weight"
      unit      = "percent"
      minimum   = 10
      maximum   = 100
      smoothing = "10s"
      rate      = 20
    }
  }
  health_check "script" {
    command = ["/usr/local/bin/check-app", "--fast"]
    user    = "app"
    weight {}
  }
  health_check "file" { path = "/run/weights/{address}" }
  health_check "agent" {
    port = 9999
    send = "state\n"
  }

  real_server "192.0.2.11" { weight = 100 }
}
