// Package api is how an operator's command talks to a running director: HTTP and JSON over a Unix socket in the runtime
// directory.
package api
