// Package sysctl reads and sets kernel parameters, knows which ones a director's configuration needs, and puts them
// back as they were.
package sysctl
