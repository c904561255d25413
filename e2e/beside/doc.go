// Package beside compares complete pairs of lvs-ha with complete pairs of keepalived, in the same namespaces one after the
// other: what clients notice of a hand-over, the cost of many virtual routers, and adverts under load. It only has benchmarks.
package beside
