// Package supervisor is the parent process of lvs-ha: it starts the speaker and the director, restarts them when they
// end or hang, passes signals on, reports to systemd and keeps the runtime directory. It holds no configuration and no
// state, so that there is little in it to fail. The other half of the package is the workers' side of it, see Seat.
package supervisor
