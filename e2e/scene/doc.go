// Package scene sets up the hosts for e2e tests and the demo: two directors with lvs-ha, real servers and a client,
// connected as in the examples for NAT, direct routing and tunnelling.
package scene
