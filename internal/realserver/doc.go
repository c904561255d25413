// Package realserver prepares a real server for direct routing, tunnelling or NAT: it adds the virtual addresses to a
// device that answers neither ARP nor neighbour discovery, sets the kernel parameters that this requires, and can undo
// exactly its own changes.
package realserver
