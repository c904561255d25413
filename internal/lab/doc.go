// Package lab builds the networks of tests and the demo: hosts in network namespaces on bridges, real servers, clients
// that measure every outage, packet captures, and directors with their own kernel that has IPVS.
//
// Close removes everything that a Lab created, and New removes what killed runs with the same prefix left. It requires
// root. Constructors return errors, so that programs can use the package as well as tests; tests use NewT and Need.
package lab
