# An IPv6 gateway pair. Hosts use fe80::10 as their default gateway, and reach services on the gateway by the other addresses.

vrrp "gateway" {
  interface          = "eth0"
  virtual_router_id  = 10
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  advertise_interval = "100ms"

  # Another group than ff02::12 keeps these adverts apart from those of other routers on the network.
  multicast_address = "ff12::112"

  # After an outage, lb1 takes over only after its routing protocol has had 30 s to learn the routes.
  preempt_delay = "30s"

  # RFC 9568 requires a link-local address.
  addresses = ["fe80::10/64", "2001:db8::10/64"]

  # The kernel does not use a virtual host address as the source of new connections unless it is preferred.
  address "2001:db8::53/128" { preferred = true }

  # The hosts of this network reach each other only through the gateway: the gateway itself has no route to it from here.
  address "2001:db8:1::10/64" { prefix_route = false }

  route "2001:db8:1::/64" {
    interface = "eth0"
    via       = "fe80::99"
  }

  # Hosts that miss the announcements of a failover learn the gateway again within a minute.
  announce {
    count        = 3
    repeat_after = "2s"
    refresh      = "1m"
  }
}

# The switch drops neighbour advertisements above 1,000 a second on a port.
announce_limit {
  na_interval = "1ms"
}
