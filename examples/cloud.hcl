# A pair in a cloud without multicast. The address must also be assigned to the active node through the provider's API: the
# new master's script does that.

variable "vip" { default = "192.0.2.10" }

variable "move_address" {
  description = "a program that assigns an address to a node; it must handle being run twice"
  default     = "/usr/local/sbin/move-address"
}

vrrp "web" {
  interface         = "eth0"
  virtual_router_id = 51
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
  unicast_peers     = { lb1 = ["192.0.2.2"], lb2 = ["192.0.2.1"] }[node.name]
  addresses         = ["${var.vip}/32"]

  notify {
    master  = [var.move_address, var.vip, node.name]
    user    = "root"
    timeout = "20s"
  }
}

# For a monitoring program: a line such as INSTANCE "web" MASTER 150 for each change.
notify_fifo "/run/lvs-ha/notify.fifo" {}
