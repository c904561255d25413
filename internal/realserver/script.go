package realserver

import (
	"fmt"
	"strings"
)

// ShellScript returns a script that establishes the wanted state from any previous one. It needs ip and sysctl, but not
// lvs-ha.
func ShellScript(w Wanted) (string, error) {
	if err := w.Validate(); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range Script(w, Observed{}) {
		b.WriteString(s.idempotent() + "\n")
	}
	for _, v := range w.VIPs {
		if v.Mode == NAT {
			fmt.Fprintf(&b, "# %s by nat: nothing to do, except to route replies through the director\n", v.Address)
		}
	}
	return script(b.String()), nil
}

// script wraps the lines in a subshell: if it is pasted into a terminal, a failing step does not close the session.
func script(lines string) string { return "#!/bin/sh\n(\nset -eu\n" + lines + ")\n" }

// idempotent returns the step's command in a form that can be repeated.
func (s Step) idempotent() string {
	if s.Action != AddFOU {
		return s.Command()
	}
	line := fmt.Sprintf("port %d gue", s.Port)
	if s.IPv6 {
		line += " -6"
	}
	return fmt.Sprintf("ip fou show | grep -qxF -e '%s' || %s", line, s.Command())
}

// UndoScript returns the commands of a report of PlanDown as a script.
func UndoScript(r Report) string {
	var b strings.Builder
	for _, s := range r.Steps {
		b.WriteString(s.Command() + "\n")
	}
	for _, n := range r.Notes {
		b.WriteString("# " + n + "\n")
	}
	return script(b.String())
}
