// Package connsync runs the kernel's IPVS connection-sync daemons: the master daemon multicasts this director's
// connections, the backup daemon takes them in. They follow a VRRP instance.
package connsync
