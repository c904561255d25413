virtual_service "web" {
  address = "192.0.2.10:80"
}
