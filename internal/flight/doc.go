// Package flight is the flight recorder of the speaker: what each virtual router saw and did, in a file of fixed size that
// survives the process. The inputs of a vrrp.Machine are recorded so completely that they can be replayed.
package flight
