// Package config reads lvs-ha's HCL configuration into validated plain values. Every error carries file, line and
// snippet, and all errors of a configuration are found in one run.
package config
