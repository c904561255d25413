// Package metrics writes a director's status in Prometheus's text format. It has an encoder of its own: client_golang takes
// seconds and hundreds of megabytes for 40,000 real servers, and makes each start of the program slower (docs/architecture.md).
package metrics
