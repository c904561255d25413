// Package scene sets up the stage for stories and demo: two directors with lvs-ha, real servers and a client, connected as in
// the examples for NAT, direct routing and tunnelling.
package scene
