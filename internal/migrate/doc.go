// Package migrate converts other programs' configurations to lvs-ha's. Nothing is dropped silently: settings without
// equivalent are returned with line and reason.
package migrate
