// Package connsync controls the kernel's IPVS connection-sync daemons: the master daemon multicasts this director's
// connections, the backup daemon receives them. They follow a VRRP instance.
package connsync
