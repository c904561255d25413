// Package director connects packages that are independent of each other: configuration, VRRP states, check results, the
// kernel's IPVS table and its connection-sync daemons. State flows one way: events update the inputs, pure functions
// compute the wanted table, and only the difference to the actual one is applied.
package director
