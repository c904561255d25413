# A virtual address for haproxy on two servers. The server whose haproxy answers has the address; if both do, lb1 has it.
# haproxy.cfg needs a frontend with "mode http", "bind 127.0.0.1:8404" and "monitor-uri /healthz".

track_script "haproxy" {
  command  = ["/usr/bin/curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", "http://127.0.0.1:8404/healthz"]
  interval = "1s"
  rise     = 2
  fall     = 2
}

vrrp "web" {
  interface          = "eth0"
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"
  addresses          = ["192.0.2.10/24"]

  track "haproxy" {}
}
