director {
  grace           = "0s"
  on_stop         = "leav"
  repair_interval = "10ms"
}
