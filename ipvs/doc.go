// Package ipvs is the kernel's IP Virtual Server table: its types, a client that reads and writes it over generic
// netlink, the pure diff of a wanted table against the actual one, and ipvsadm's text formats.
package ipvs
