// Package realserver prepares a real server for direct routing, tunnelling or NAT: the virtual addresses on a device
// that nobody asks for by ARP or neighbour discovery, the kernel parameters that keep it so, and the way back. It
// takes away exactly what it brought.
//
// What is wanted and what is observed make the steps (Up, Down) and the findings (Status): pure functions. System is
// the thin shell that observes and steps.
package realserver
