// Package healthcheck probes real servers: one file for each kind of check, a scheduler that runs the probes, and the
// pure rise-and-fall judgement of their results.
//
// A Spec has the timing of a check and the parameters of its kind, a Target is a Spec for one address and port, a Probe
// carries out one check, and Judge turns its results into a State. A Scheduler does all of that for a set of targets.
// A new kind is one file with a type that implements Check, one line in Kinds, and its rows in docs/reference.md.
package healthcheck
