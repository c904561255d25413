// Package ipvs accesses the kernel's IP Virtual Server table: its types, a client over generic netlink, the pure diff
// between a wanted and the actual table, and ipvsadm's text formats.
package ipvs
