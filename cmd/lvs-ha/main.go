// Command lvs-ha turns Linux hosts into highly available LVS directors.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run is main without os.Exit, so that deferred calls run.
func run() int {
	// Checked before the commands are built: scripts call ipvsadm in loops.
	if program, args, ok := ipvsadmArgs(os.Args); ok {
		return runIpvsadm(context.Background(), program, args)
	}
	err := newRoot().Execute()
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		if exit.err != nil {
			complain(os.Stderr, exit.err.Error())
		}
		return exit.status
	}
	complain(os.Stderr, "lvs-ha: "+err.Error())
	return 1
}

// complain prints an error, in the journal with a priority on each line.
func complain(w *os.File, text string) {
	if isJournal(w) {
		prefix := journalPrefix(slog.LevelError)
		text = prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
	}
	fmt.Fprintln(w, text)
}

// exitError requests an exit status. A nil err means that the message has already been printed.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "lvs-ha",
		Short:         "Highly available LVS directors: VRRP, health checks, IPVS and connection sync in one daemon",
		SilenceUsage:  true,
		SilenceErrors: true,
		// Same output as cobra's default. A custom template would link text/template, and with it every method of the
		// program.
		Version: buildText(),
	}
	registerNetNamespace(root)
	root.AddCommand(newRun(), newValidate(), newStatus(), newEvents(), newExplain(), newReload(), newUpgrade(), newApply(), newConfirm(), newFailover(), newDrain(), newDisable(), newEnable(), newWeight(), newPlan(), newFmt(), newImport(), newExport(), newVersion(), newRealserver(), newDoctor(), newIpvsadm(), newSpeaker(), newDirector())
	return root
}
