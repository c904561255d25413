# A pair during a migration from keepalived: lb1 runs lvs-ha, and lb2 still keepalived with the configuration below. The address
# fails over between them in both directions. When lb2 runs lvs-ha too, remove version and auth_pass from this file, which allows
# a shorter advertise_interval.
#
#   vrrp_instance VI_1 {
#       state BACKUP
#       interface eth0
#       virtual_router_id 51
#       priority 100
#       advert_int 1
#       mcast_src_ip 192.0.2.2
#       authentication {
#           auth_type PASS
#           auth_pass 1a2b3c4d
#       }
#       virtual_ipaddress {
#           192.0.2.10/24 brd 192.0.2.255 label eth0:1
#       }
#       virtual_ipaddress_excluded {
#           192.0.2.11/32
#       }
#       notify /etc/keepalived/notify.sh
#   }

vrrp "VI_1" {
  interface          = "eth0"
  version            = 2 # keepalived's default
  virtual_router_id  = 51
  priority           = { lb1 = 150, lb2 = 100 }[node.name]
  preempt            = true
  advertise_interval = "1s"
  source_address     = { lb1 = "192.0.2.1", lb2 = "192.0.2.2" }[node.name]
  auth_pass          = "1a2b3c4d"

  address "192.0.2.10/24" {
    broadcast = "192.0.2.255"
    label     = "eth0:1"
  }
  address "192.0.2.11/32" {
    broadcast = "none"
    excluded  = true
  }

  # The scripts get the same arguments as from keepalived. Those of keepalived usually expect to run as root.
  notify {
    all  = ["/etc/keepalived/notify.sh"]
    user = "root"
  }
}
