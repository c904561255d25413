locals {
  weights = { small = 1, large = 10 }
  size    = "larg"
}

virtual_service "web" {
  address = "192.0.2.10:80"
  real_server "192.0.2.11" { weight = local.weights[local.size] }
  real_server "192.0.2.12" { weight = {}["small"] }
}
