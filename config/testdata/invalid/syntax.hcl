vrrp "web" {
  interface =
}

director { grace = "5s" on_stop = "leave" }
