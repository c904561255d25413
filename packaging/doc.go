// Package packaging tests what a package of lvs-ha installs beside the program.
package packaging
