// Package chaos injects random troubles into a pair of directors with a client and checks their effects: which director has
// the virtual addresses and which advertises, the contents of the tables, whether packets are forwarded, whether the API
// responds, and what the client loses. A round injects one or more troubles, after which the pair must become healthy again.
package chaos
