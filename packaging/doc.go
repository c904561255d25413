// Package packaging holds the systemd unit and the Debian package, with their tests.
package packaging
