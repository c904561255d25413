// Package script runs the commands that a configuration names: with the privileges of their user, a deadline that holds
// for all their processes, and bounded output.
package script
