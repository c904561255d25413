package healthcheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is what is wrong with one setting of a Spec.
type Fault struct {
	Setting string // by its name in the configuration, as "path" or "tls.server_name"
	Item    int    // of a list: which one, from 0
	Text    string // sentences that say what is wrong and what to write; never with a header's value
}

// Error implements error.
func (f Fault) Error() string { return f.Setting + ": " + f.Text }

// Faults lists what is wrong with a spec. NewProbe makes a probe of every spec that has no fault and whose
// files were read.
func (s Spec) Faults() []Fault {
	if _, ok := Kinds[s.Kind()]; !ok {
		return []Fault{unknownKind(s.Kind())}
	}
	return s.Check.Faults()
}

func fault(setting, format string, args ...any) Fault {
	return Fault{Setting: setting, Text: fmt.Sprintf(format, args...)}
}

// quote quotes a text of the configuration. It shows all of it or nothing, since package config hides secrets in messages
// by looking for them, and would not find a part.
func quote(s string) string {
	const most = 256 // bytes
	if len(s) > most {
		return fmt.Sprintf("The value (%d bytes)", len(s))
	}
	return strconv.Quote(s)
}

// isHostName reports whether a text has only the characters of host names, and fits into DNS.
func isHostName(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, notInHostName) && !slices.Contains(strings.Split(strings.TrimSuffix(s, "."), "."), "")
}

func notInHostName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
}
