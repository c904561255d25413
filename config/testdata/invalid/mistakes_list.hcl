vrrp "a" {
  addresses = [192.0.2.10/24, "192.0.2.11/24"]
}

vrrp "b" {
  addresses = [2001:db8::1/64] # a comment
}
