// Package ipvsnl is the connection to the kernel's generic netlink family "IPVS" that ipvs and connsync share: it
// resolves the family for real, bounds every wait, serialises its users, and pipelines batches of requests.
package ipvsnl
