// Package keepalived reads keepalived's configuration files the way keepalived 2.4 does: with its variables, conditions,
// repetitions and includes, and with what it makes of lines that it does not understand. It interprets no values.
//
// A file passes through three stages: source (files and their comments), lines (variables and conditions replaced, braces on
// lines of their own) and the parser (blocks by the keywords of grammar.go).
package keepalived
