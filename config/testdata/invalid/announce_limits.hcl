announce_limit {
  interfaces   = ["eth0", "eth0"]
  arp_interval = "10ms"
}

announce_limit {
  interfaces  = ["eth1", "eth0", "a b"]
  na_interval = "2h"
}

announce_limit {
  interfaces   = ["eth2", "eth0"]
  arp_interval = "-1s"
}

announce_limit {
  arp_interval = "10ms"
}

announce_limit {
  interfaces  = []
  na_interval = "10ms"
}

announce_limit {
  na_interval = "10ms"
}

announce_limit "eth0" {
  interfaces = ["eth3"]
}
