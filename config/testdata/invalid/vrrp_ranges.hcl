vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 256
  version           = 4
  priority          = 0
  preempt_delay     = "2h"
  addresses         = ["192.0.2.10/24"]

  track_interface "eth1" { weight = 254 }

  announce {
    count        = 0
    repeat_after = "-1s"
  }

  connection_sync {
    interface = "eth1"
    sync_id   = 256
    maxlen    = 100
    port      = 0
    ttl       = 256
  }
}
