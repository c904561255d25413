virtual_service "web" {
  address = "192.0.2.10:80"

  dynamic "real_server" {
    for_each = setproduct(range(400), range(400))
    labels   = ["192.0.2.11"]
    content {}
  }
}
