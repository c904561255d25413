package healthcheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is an error in one setting of a Spec.
type Fault struct {
	Setting string // its name in the configuration, such as "path" or "tls.server_name"
	Item    int    // index in a list
	Text    string // sentences: what is wrong and what to write; never contains a header's value
}

// Error implements error.
func (f Fault) Error() string { return f.Setting + ": " + f.Text }

// Faults lists the errors in a spec. NewProbe succeeds for every spec without faults whose files were read.
func (s Spec) Faults() []Fault {
	if _, ok := Kinds[s.Kind()]; !ok {
		return []Fault{unknownKind(s.Kind())}
	}
	return append(s.Check.Faults(), s.Weight.Faults(s.Kind())...)
}

func fault(setting, format string, args ...any) Fault {
	return Fault{Setting: setting, Text: fmt.Sprintf(format, args...)}
}

// quote quotes a text of the configuration, either all of it or nothing: package config hides secrets in messages by
// searching for them, and would not find a part.
func quote(s string) string {
	const most = 256 // bytes
	if len(s) > most {
		return fmt.Sprintf("The value (%d bytes)", len(s))
	}
	return strconv.Quote(s)
}

// isHostName reports whether a text consists of the characters of host names and fits into DNS.
func isHostName(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, notInHostName) && !slices.Contains(strings.Split(strings.TrimSuffix(s, "."), "."), "")
}

func notInHostName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
}
