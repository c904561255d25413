// Package onecpu runs a pair of directors with one CPU each, without faults, and checks that adverts are sent on time while a
// CPU hog runs or forged packets arrive. Any killed worker and any takeover is a defect.
package onecpu
