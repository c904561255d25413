// Package migrate turns what other programs are configured with into the language of lvs-ha. Nothing is dropped in
// silence: what has no equivalent is returned with its line and the reason.
package migrate
