// Package speaker is the process that runs VRRP on real interfaces: sockets, addresses, gratuitous ARP and neighbour
// advertisements around the state machines of package vrrp, and the Unix socket on which a director requests
// a state and receives statuses.
//
// One goroutine, locked to an OS thread that sleeps in epoll with a timer of its own, owns all machines; the way of an
// advert touches no other goroutine and allocates nothing. Whatever may wait for the kernel's locks (addresses,
// announcements, opening sockets) or for another process is done elsewhere and comes back as a message.
package speaker
