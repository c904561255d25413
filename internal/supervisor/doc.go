// Package supervisor is the parent process of lvs-ha: it starts the speaker and the director, restarts them if they exit
// or hang, forwards signals, reports to systemd and maintains the runtime directory. It has no configuration and no
// state, so that little can fail. The workers use ParentLink.
package supervisor
