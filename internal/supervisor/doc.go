// Package supervisor is the parent process of lvs-ha: it starts the speaker and the director, starts them again when they
// end, passes signals on, reports to systemd and keeps the runtime directory. It does nothing else, so that there is
// little in it to fail.
package supervisor
