node { name = env("NODE") }

vrrp "web" {
  interface         = env("SITE", "a", "b")
  virtual_router_id = 51
  addresses         = [cidrhost("192.0.2.0/24", 256), cidrhost("no", 1)]
  unicast_peers     = [cidrsubnet("192.0.2.0/24", 9, 0), cidrsubnet("192.0.2.0/24", 2, 4)]
  source_address    = cidrnetmask("2001:db8::/64")
}
