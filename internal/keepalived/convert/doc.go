// Package convert turns keepalived's configuration into lvs-ha's. Every line of the source has a fate: it means the same, the
// same in effect, something different, or has no equivalent; nothing is dropped silently.
package convert
