dynamic "variable" {
  for_each = [1]
  labels   = ["a"]
  content {}
}

virtual_service "web" {
  address = "192.0.2.10:80"

  dynamic "real_sever" {
    for_each = [1]
    content {}
  }

  dynamic "real_server" {
    for_each = 5
    labels   = ["192.0.2.11"]
    content {}
  }

  dynamic "real_server" {
    for_each = [12, 13]
    labels   = ["192.0.2.${real_server.value}"]
    content { wieght = 1 }
  }
}
