// Package ipvsadm is a drop-in replacement for ipvsadm 1.31: the same command line, output, error texts and exit status,
// on package ipvs. Deliberate differences are listed in docs/ipvsadm.md.
package ipvsadm
