// Package sysctl reads and sets kernel parameters, knows which ones forwarding by NAT needs, and puts them back as
// they were.
package sysctl
