// Package director joins packages that do not know each other: configuration, VRRP states, check results, the kernel's IPVS
// table and its connection-sync daemons. State flows one way: events change what is known, pure functions compute the wanted table, a
// diff finds what differs, and only that is applied.
package director
