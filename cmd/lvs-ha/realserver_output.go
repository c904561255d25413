package main

import (
	"fmt"
	"io"

	"github.com/lvs-ha/lvs-ha/internal/realserver"
)

func failing(bad bool) error {
	if bad {
		return &exitError{status: 1}
	}
	return nil
}

// persistServer updates the files for the next boot to the current setup.
func persistServer(w io.Writer, server *realserver.Server, files realserver.Persistence) error {
	state, err := server.Store.Load()
	if err != nil {
		return err
	}
	written, removed, err := files.Write(state)
	for _, name := range written {
		fmt.Fprintf(w, "wrote %s\n", name)
	}
	for _, name := range removed {
		fmt.Fprintf(w, "removed %s\n", name)
	}
	switch {
	case err != nil || len(written)+len(removed) > 0:
	case len(state.Wanted.VIPs) > 0:
		fmt.Fprintln(w, "nothing to write: with nat, set the default route in this host's own network configuration")
	default:
		fmt.Fprintln(w, "no files for the next boot")
	}
	return err
}

func writeReport(w io.Writer, r realserver.Report, nothing string) {
	for _, s := range r.Steps {
		fmt.Fprintln(w, s.Command())
	}
	if len(r.Steps) == 0 {
		fmt.Fprintln(w, nothing)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

// writeRealserverStatus prints all checks, or only failed ones.
func writeRealserverStatus(w io.Writer, s realserver.Status, all bool) error {
	for _, c := range s.Checks {
		switch {
		case !c.OK:
			fmt.Fprintf(w, "WRONG  %s\n", c.What)
			if c.Why != "" {
				fmt.Fprintf(w, "       why:  %s\n", c.Why)
			}
			if c.Remedy != "" {
				fmt.Fprintf(w, "       fix: %s\n", c.Remedy)
			}
		case all:
			fmt.Fprintf(w, "ok     %s\n", c.What)
		}
	}
	return failing(!s.OK)
}
