// Package healthcheck probes real servers: one file a protocol, a scheduler that runs the probes, and the pure
// rise-and-fall judgement of their results.
//
// A Spec says what is asked of a server, a Target is a Spec for one address and port, a Probe carries out one check,
// and Judge turns its results into a State. A Scheduler does all of that for a set of targets. A new protocol is one
// file with a constructor of its Probe, and one line in the table of kinds.
package healthcheck
