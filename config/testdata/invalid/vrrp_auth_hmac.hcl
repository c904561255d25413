vrrp "short" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.1/24"]
  auth_hmac {
    active_key = 1
    key "1" { secret = "hex:00112233" }
  }
}

vrrp "unknown" {
  interface         = "eth0"
  virtual_router_id = 52
  addresses         = ["192.0.2.2/24"]
  auth_hmac {
    active_key = 3
    key "1" { secret = "0123456789abcdef0123456789abcdef" }
    key "1" { secret = "hex:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  }
}

vrrp "both" {
  interface         = "eth0"
  virtual_router_id = 53
  version           = 2
  auth_pass         = "s3cret"
  addresses         = ["192.0.2.3/24"]
  auth_hmac {
    active_key  = 1
    mode        = "strict"
    time_window = "1500ms"
    key "1" {
      secret = "0123456789abcdef0123456789abcdef"
      file   = "vrrp.key"
    }
  }
}

vrrp "files" {
  interface         = "eth0"
  virtual_router_id = 54
  addresses         = ["192.0.2.4/24"]
  auth_hmac {
    active_key = 1
    key "1" { file = "missing.key" }
    key "2" { secret = "hex:0x00" }
  }
}
