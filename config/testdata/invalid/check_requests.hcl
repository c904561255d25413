virtual_service "web" {
  address = "192.0.2.10:80"

  health_check "http" {
    method  = "DELETE"
    path    = "health"
    host    = "http://www.example.com/"
    headers = { Host = "a", "X Y" = "b", "X-Bad" = "a\nb" }
    status  = [99, "200-600", "300-200", "ok", "200-299"]
    body    = "(ok"
  }

  health_check "http" {
    method = "HEAD"
    path   = "/a b"
    body   = "ok"
    status = []
  }

  real_server "192.0.2.11" {}
}
