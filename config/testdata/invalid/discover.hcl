virtual_service "web" {
  address = "192.0.2.1:80"

  discover "consul" {}
  discover "file" { path = "servers.json" }
  discover "file" { name = "web.example.com" }
  discover "dns" {
    name      = "web..example.com"
    resolvers = ["localhost", "0.0.0.0"]
    min_ttl   = "5m"
  }
  discover "dns" {
    name   = "web.example.com"
    type   = "SRV"
    port   = 80
    weight = 2
    path   = "/x"
  }
  discover "dns" {
    name = "db.example.com"
    port = 8080
  }
  discover "dns" { name = "db.example.com." }
  discover "dns" {
    name            = "six.example.com"
    type            = "AAAA"
    lower_threshold = 5
    tunnel {}
  }
}
