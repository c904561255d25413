// Package director joins what does not know each other: configuration, VRRP states, check results, the kernel's IPVS
// table and its connection-sync daemons. State flows one way: events change what is known, a pure function computes what is wanted of the kernel, a
// diff finds what differs, and only that is applied.
package director
