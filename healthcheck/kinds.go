package healthcheck

import (
	"maps"
	"slices"
	"time"
)

// Kind is the name of a kind of check, as in health_check "http".
type Kind string

// Check is one kind's parameters: what a check sends to a server and what it expects. A kind is one file with a struct
// that implements Check, and one line in Kinds.
//
// The struct's fields with an `hcl` tag are the attributes of the kind's health_check block; package config describes
// the tags (config/tag.go) and the types of fields (config/parameters.go), and decodes them. The `json` tags name the
// fields in the state file and in plans; the names of Spec's own fields are taken in both.
type Check interface {
	// Kind is the name under which Kinds has the check.
	Kind() Kind
	// Faults lists what is wrong with the parameters.
	Faults() []Fault
	// Probe makes the probe of parameters without faults. It reads no files. The timeout is for messages.
	Probe(timeout time.Duration) (Probe, error)
	// AppendIdentity appends everything that is configured, so that no two different checks of a kind append the same.
	AppendIdentity(b []byte) []byte
	// Redacted returns a copy without secrets, or the check itself if it cannot have any.
	Redacted() Check
}

// Truster is a Check that trusts certificate authorities in a file. The file is read with the configuration.
type Truster interface {
	// AuthoritiesFile returns the file's name and the setting that names it; "" if no file is needed.
	AuthoritiesFile() (name, setting string)
	// Trust gives the check the file's contents; nil if they could not be read.
	Trust(*Authorities)
}

// Kinds has each kind's parameters with their defaults. It does not change while the program runs.
var Kinds = map[Kind]func() Check{
	"http":  newHTTP,
	"https": newHTTPS,
	"tcp":   newTCP,
}

// KindNames lists the names of the kinds, sorted.
func KindNames() []string {
	names := make([]string, 0, len(Kinds))
	for _, kind := range slices.Sorted(maps.Keys(Kinds)) {
		names = append(names, string(kind))
	}
	return names
}
