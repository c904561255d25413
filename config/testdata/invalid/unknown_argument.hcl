director {
  gracee  = "5s"
  on_stop = "leave"
}
