// Package ipvsadm is a drop-in for the command ipvsadm 1.31: the same command line, output, error texts and exit status,
// on package ipvs. What differs on purpose is listed in docs/ipvsadm.md.
package ipvsadm
