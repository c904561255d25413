# A database on two servers in different networks. The primary has the address; a script promotes the database of the server
# that becomes master. Adverts cross a router and are authenticated. Events are sent to a web service and by mail.

variable "vrrp_key" {
  description = "the same on both servers: echo \"hex:$(openssl rand -hex 32)\""
  sensitive   = true
  default     = "replace-this-with-a-random-key-of-32-bytes"
}

# The number in the file times -10 is added to the priority: write 1 for maintenance. A missing file counts as 0.
track_file "maintenance" {
  path   = "/etc/lvs-ha/maintenance"
  weight = -10
}

# Out of service if the database does not run. A restart within 3 s moves nothing.
track_process "postgres" {
  delay_down = "3s"
}

vrrp "database" {
  interface         = "eth0"
  virtual_router_id = 20
  priority          = { lb1 = 105, lb2 = 100 }[node.name]
  addresses         = ["192.0.2.20/32"]

  # In addition, but not listed in adverts.
  excluded_addresses = ["192.0.2.21/32"]

  unicast_peers   = { lb1 = ["203.0.113.2"], lb2 = ["198.51.100.2"] }[node.name]
  unicast_min_ttl = 254
  unicast_max_ttl = 254 # through exactly one router

  # After a boot, wait for the other server's adverts before taking over.
  startup_delay = "30s"

  track "postgres" {}
  track "maintenance" {}

  auth_hmac {
    active_key = 1
    key "1" { secret = var.vrrp_key }
  }

  notify {
    master = ["/usr/local/sbin/promote-database"]
    user   = "postgres"
  }
}

notify_webhook "chat" {
  url = "https://chat.example.com/hooks/vrrp"
}

notify_email "operators" {
  smtp = "mail.example.com:587"
  from = "database@example.com"
  to   = ["operators@example.com"]
}
