// Package sysctl reads, sets and restores kernel parameters, and defines those that forwarding by NAT requires.
package sysctl
