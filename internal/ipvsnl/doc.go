// Package ipvsnl connects ipvs and connsync to the kernel's generic netlink family "IPVS": it resolves the family,
// limits every wait, serializes its users, and pipelines batches of requests.
package ipvsnl
