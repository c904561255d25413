// Package lab builds the networks that tests and the demo run in: hosts in network namespaces on bridges, real
// servers, clients that notice every gap, packet captures, and directors that are machines of their own with a
// kernel that has IPVS.
//
// Everything a Lab made goes away with Close, and what a killed run left behind goes away with the next New of
// the same prefix. It needs root. Constructors return errors, so that a program can use the package as well as a
// test; tests use NewT and Need.
package lab
