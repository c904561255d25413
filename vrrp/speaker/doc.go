// Package speaker runs VRRP on real interfaces. It adds sockets, addresses, gratuitous ARP and neighbour advertisements
// to the state machines of package vrrp, and serves the Unix socket on which a director requests a state and receives
// statuses.
//
// One goroutine, locked to an OS thread that sleeps in epoll with its own timer, owns all machines. Sending or receiving
// an advert involves no other goroutine and does not allocate. Operations that may block on the kernel's locks (addresses,
// announcements, opening sockets) or on another process run on other goroutines, which post their results to the first.
package speaker
