// Package convert turns the configurations of keepalived and ldirectord into lvs-ha's. Every line of the source has a fate: it
// means the same, the same in effect, something different, or has no equivalent; nothing is dropped silently.
package convert
