// Package chaos lets random troubles happen to a pair of directors with a client, and judges what is seen meanwhile: who holds the
// virtual addresses and who advertises, what the tables hold, whether packets are forwarded, whether the API answers, what the
// client loses. A round is some troubles at once; afterwards all must be right again.
package chaos
