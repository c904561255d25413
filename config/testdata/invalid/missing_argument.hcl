vrrp "web" {
  addresses = ["192.0.2.10/24"]

  connection_sync {}
}

variable "x" {
  default = 1

  validation { error_message = "No." }
}
