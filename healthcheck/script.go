package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Script is a check that runs a command on this host. Exit status 0 passes.
type Script struct {
	Command []string `hcl:"command,attr" holds:"a program and its arguments" json:"command"`
	Shell   bool     `hcl:"shell,optional" default:"false" json:"shell,omitempty"`
	User    string   `hcl:"user,optional" default:"nobody" json:"user,omitempty"`
	Group   string   `hcl:"group,optional" unset:"the user's" json:"group,omitempty"`
}

func newScript() Check { return &Script{} }

// Kind implements Check.
func (*Script) Kind() Kind { return "script" }

// Faults implements Check.
func (c *Script) Faults() []Fault {
	if text := script.Fault(c.Command, c.Shell); text != "" {
		return []Fault{fault("command", "%s", text)}
	}
	return nil
}

// AppendIdentity implements Check.
func (c *Script) AppendIdentity(b []byte) []byte {
	shell := 0
	if c.Shell {
		shell = 1
	}
	b = appendInts(b, shell, len(c.Command))
	for _, text := range append([]string{c.User, c.Group}, c.Command...) {
		b = appendText(b, text)
	}
	return b
}

// Redacted implements Check.
func (c *Script) Redacted() Check { return c }

// NeedsNoPort reports that the check works without a port.
func (*Script) NeedsNoPort() {}

// errNoScripts is the error where scripts are not run: only the director does.
var errNoScripts = errors.New("only a running director runs scripts")

// Probe implements Check.
func (c *Script) Probe(s Setup) (Probe, error) {
	return func(ctx context.Context, server netip.AddrPort) Result {
		if s.Run == nil {
			return notChecked(errNoScripts.Error())
		}
		ended := s.Run(ctx, script.Command{
			Args: c.Command, Shell: c.Shell, User: c.User, Group: c.Group, Timeout: s.Timeout,
			Env: []string{"LVS_HA_ADDRESS=" + server.Addr().String(), "LVS_HA_PORT=" + strconv.Itoa(int(server.Port()))},
		})
		return judgeScript(ctx, s, ended)
	}, nil
}

// judgeScript returns the result of a script. With a weight, exit status 2 to 255 stands for the weights 0 to 253, as with
// keepalived's misc_dynamic.
func judgeScript(ctx context.Context, s Setup, ended script.Result) Result {
	switch {
	case ended.TimedOut, ended.Signal != 0 && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Result{Reason: TimedOut, Detail: "timeout after " + s.Timeout.String()}
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return notChecked("cancelled")
	case ended.NotRun != nil:
		return notChecked(ended.NotRun.Error())
	case ended.ExitCode == 0:
		return Result{OK: true, Complete: true, Detail: "exit status 0"} // the configured weight
	case ended.ExitCode >= 2 && s.Weight != nil:
		number := ended.ExitCode - 2
		return Result{OK: true, Complete: true, Advice: Advice{Unit: s.Weight.unit(), Number: float64(number)}, Detail: fmt.Sprintf("exit status %d", ended.ExitCode)}
	}
	return Result{Reason: Failed, Detail: ended.Reason()}
}
