// Package api is the API of a running director: HTTP and JSON over a Unix socket in the runtime directory and over TCP. Its types have
// stable JSON names and are separate from the domain's.
package api
