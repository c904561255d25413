// Package doctor looks at a director's machine beside its configuration: what is missing, what is wrong, what would
// bite later, each with its mend.
//
// A check is a pure function of the configuration and of what was observed. Machine is the thin shell that observes,
// with a deadline for everything, and mends.
package doctor
