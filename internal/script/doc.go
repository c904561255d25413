// Package script runs configured commands with the privileges of their user, a deadline for all of their processes, and
// bounded output.
package script
