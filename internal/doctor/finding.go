package doctor

import (
	"fmt"

	"github.com/lvs-ha/lvs-ha/internal/sysctl"
)

// Severity says how bad a finding is. Its text is what is printed.
type Severity string

// The severities.
const (
	OK      Severity = "ok"      // looked at and right
	Info    Severity = "info"    // worth knowing; needs no mend
	Warning Severity = "warning" // works, but not always or not as one would think
	Error   Severity = "error"   // does not work
)

// Finding is one thing that was found.
type Finding struct {
	Code     string   `json:"code"` // stable: for scripts
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject,omitempty"` // an interface, a service, a server
	What     string   `json:"what"`
	Why      string   `json:"why,omitempty"`  // it matters
	Mend     string   `json:"mend,omitempty"` // the command, or what to change
	Fixes    []Fix    `json:"fixes,omitempty"`
	Fixed    bool     `json:"fixed,omitempty"`
	FixError string   `json:"fix_error,omitempty"`
}

// Fix is a mend that is safe to make without asking. It lasts until the next boot.
type Fix struct {
	Module string `json:"module,omitempty"` // to load
	Key    string `json:"key,omitempty"`    // a kernel parameter, and its value
	Value  string `json:"value,omitempty"`
}

// Command is the shell command of the fix.
func (f Fix) Command() string {
	if f.Module != "" {
		return "modprobe " + f.Module
	}
	return sysctl.Command(f.Key, f.Value)
}

// open reports whether a finding still stands.
func (f Finding) open() bool { return !f.Fixed && (f.Severity == Error || f.Severity == Warning) }

// Exit statuses for scripts.
const (
	ExitWell     = 0 // nothing worse than info
	ExitErrors   = 1
	ExitWarnings = 2 // but no errors
)

// ExitStatus sums up findings for scripts. What was fixed no longer counts.
func ExitStatus(findings []Finding) int {
	status := ExitWell
	for _, f := range findings {
		switch {
		case f.open() && f.Severity == Error:
			return ExitErrors
		case f.open():
			status = ExitWarnings
		}
	}
	return status
}

// set adds a kernel parameter to what mends the finding.
func (f Finding) set(key, value string) Finding { return f.mendedBy(Fix{Key: key, Value: value}) }

// load adds a module to what mends the finding.
func (f Finding) load(module string) Finding { return f.mendedBy(Fix{Module: module}) }

func (f Finding) mendedBy(fix Fix) Finding {
	f.Fixes = append(f.Fixes, fix)
	if f.Mend != "" {
		f.Mend += "; "
	}
	f.Mend += fix.Command()
	return f
}

func ok(code, format string, args ...any) Finding {
	return Finding{Code: code, Severity: OK, What: fmt.Sprintf(format, args...)}
}
