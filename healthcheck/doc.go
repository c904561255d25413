// Package healthcheck probes real servers. It has one file for each kind of check, a scheduler that runs the probes, and the
// rise and fall logic that turns their results into states.
//
// A Spec has the timing of a check and the parameters of its kind. A Target is a Spec for one address and port. A Probe
// runs one check, and Judge turns its results into a State. A Scheduler does this for a set of targets. A new kind is one
// file with a type that implements Check, one line in Kinds, and its rows in docs/reference.md.
package healthcheck
