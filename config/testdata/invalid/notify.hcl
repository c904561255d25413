vrrp "a" {
  interface         = "eth0"
  virtual_router_id = 1
  addresses         = ["192.0.2.10/24"]
  notify {}
}

vrrp "b" {
  interface         = "eth0"
  virtual_router_id = 2
  addresses         = ["192.0.2.11/24"]
  notify {
    master  = []
    backup  = ["/usr/local/sbin/move down | logger"]
    fault   = ["sbin/fault"]
    stop    = [""]
    timeout = "0s"
  }
}

notify_fifo "run/fifo" {}

notify_fifo "/run/fifo" { mode = "0777" }

notify_fifo "/run/fifo" {}

notify_webhook "pager" {
  url     = "ftp://example.com"
  headers = { "Content-Length" = "5" }
}

notify_webhook "pager" {
  url     = "http://example.com"
  ca_file = "ca.pem"
}

notify_email "ops" {
  smtp     = "mail.example.com"
  from     = "nobody"
  to       = []
  username = "x"
  tls      = "none"
}

notify_email "others" {
  smtp          = "mail.example.com:587"
  from          = "lb1@example.com"
  to            = ["a@example.com", "b"]
  username      = "x"
  password      = "x"
  password_file = "x"
}

notify_email "yet others" {
  smtp = "mail.example.com:587"
  from = "lb1@example.com"
  to   = ["a@example.com"]
}
