virtual_service "web" {
  address = "192.0.2.10:80"
  notify { at_stop = true }
  real_server "192.0.2.11" {
    notify {
      up     = ["echo up | mail ops"]
      fall = 3
    }
  }
}

notify_fifo "/run/lvs-ha/fifo" { events = ["service", "pool"] }
