virtual_service "a" {
  address = "192.0.2.10:80"

vrrp "b" {
}
