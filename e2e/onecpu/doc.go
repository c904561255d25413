// Package onecpu runs a pair of directors with one CPU each, without any fault, and measures whether adverts keep their pace: beside
// a CPU hog, and under packets that somebody makes up. Any killed worker and any takeover is a defect.
package onecpu
