package healthcheck

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Kind is the name of a kind of check, such as http in health_check "http".
type Kind string

// Check has the parameters of one kind: what a check sends to a server and what it expects. A kind is one file with a struct
// that implements Check, and one line in Kinds.
//
// The struct's fields with an `hcl` tag are the attributes of the kind's health_check block. Package config describes the
// tags (config/tag.go) and the types of fields (config/parameters.go), and decodes them. The `json` tags name the fields in
// the state file and in plans. The names of Spec's own fields are reserved in both.
type Check interface {
	// Kind is the check's key in Kinds.
	Kind() Kind
	// Faults lists the errors in the parameters.
	Faults() []Fault
	// Probe returns the probe for parameters without faults. It does not read files.
	Probe(Setup) (Probe, error)
	// AppendIdentity appends everything that is configured; different checks of a kind must append different bytes.
	AppendIdentity(b []byte) []byte
	// Redacted returns a copy without secrets, or the check itself if it cannot have any.
	Redacted() Check
}

// Setup is what a probe gets besides the parameters of its kind.
type Setup struct {
	Timeout time.Duration // of the whole check, for messages
	Source  Source
	Weight  *Weight   // nil if none is configured
	Run     RunScript // nil where no scripts are run
}

// RunScript runs a command and waits for it.
type RunScript func(context.Context, script.Command) script.Result

// Portless is a Check that needs no port.
type Portless interface{ NeedsNoPort() }

// Secured is a Check that can use TLS. The files that its settings name are read with the configuration.
type Secured interface {
	// Security returns the settings of TLS, or nil if the check does not use it.
	Security() *TLS
}

// Kinds has each kind's parameters with their defaults. It must not be modified.
var Kinds = map[Kind]func() Check{
	"agent":  newAgent,
	"dns":    newDNS,
	"file":   newFile,
	"grpc":   newGRPC,
	"http":   newHTTP,
	"https":  newHTTPS,
	"ping":   newPing,
	"script": newScript,
	"smtp":   newSMTP,
	"tcp":    newTCP,
	"udp":    newUDP,
}

// KindNames lists the names of the kinds, sorted.
func KindNames() []string {
	names := make([]string, 0, len(Kinds))
	for _, kind := range slices.Sorted(maps.Keys(Kinds)) {
		names = append(names, string(kind))
	}
	return names
}
