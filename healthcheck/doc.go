// Package healthcheck probes real servers: one file a protocol, a scheduler that runs the probes, and the pure
// rise-and-fall judgement of their results.
package healthcheck
