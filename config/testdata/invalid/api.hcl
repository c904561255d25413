api {
  group = "two words"

  listen "192.0.2.1:9180" {}
  listen "127.0.0.1:443" {}
  listen "192.0.2.1" {}

  listen "192.0.2.2:9180" {
    certificate_file = "api.pem"
  }
  listen "127.0.0.1:9180" {
    key_file       = "/etc/key.pem"
    client_ca_file = "/etc/ca.pem"
  }
  listen "127.0.0.1:9180" {
    write = true
  }
}
