# A virtual address for haproxy, watched and operated from other hosts through the API (docs/api.md).

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  addresses         = ["192.0.2.100/24"]
}

api {
  # The members of this group may run `lvs-ha status`.
  group = "adm"

  # Monitoring on this host: may read, without a password.
  listen "127.0.0.1:9180" {}

  # Monitoring on other hosts: may read, with a token.
  listen "0.0.0.0:9181" {
    certificate_file = "/etc/lvs-ha/api.pem"
    key_file         = "/etc/lvs-ha/api.key"
    token_file       = "/etc/lvs-ha/api.token"
  }

  # Operators: may also reload, fail over and drain, with a client certificate.
  listen "0.0.0.0:9182" {
    certificate_file = "/etc/lvs-ha/api.pem"
    key_file         = "/etc/lvs-ha/api.key"
    client_ca_file   = "/etc/lvs-ha/operators.pem"
    write            = true
  }
}
