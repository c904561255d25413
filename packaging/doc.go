// Package packaging holds the systemd unit and its tests.
package packaging
