// Package vrrp is the Virtual Router Redundancy Protocol, versions 2 (RFC 3768) and 3 (RFC 9568), for IPv4 and
// IPv6: the packet codec and the state machine, both pure. The process that runs them on real interfaces is
// package speaker below it.
package vrrp
