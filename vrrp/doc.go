// Package vrrp implements the Virtual Router Redundancy Protocol, versions 2 (RFC 3768) and 3 (RFC 9568), for IPv4 and
// IPv6. It contains the packet codec and the state machine, which perform no I/O; package speaker runs them on real
// interfaces.
package vrrp
