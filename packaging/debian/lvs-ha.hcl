# lvs-ha's configuration. The same file serves all directors of a pair.
#
# As it stands, it configures nothing. Examples: /usr/share/doc/lvs-ha/examples. Check it with `lvs-ha validate`, see what it
# would change with `lvs-ha plan`, then start lvs-ha with `systemctl enable --now lvs-ha`.
#
# vrrp "web" {
#   interface         = "eth0"
#   virtual_router_id = 51
#   priority          = { lb1 = 150, lb2 = 100 }[node.name]
#   addresses         = ["192.0.2.110/24"]
# }
