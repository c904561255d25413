package doctor

import (
	"context"
	"errors"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Script is a configured command, and why this host cannot run it; empty if it can.
type Script struct {
	config.Command
	Refused string
}

// scripts checks that the commands of tracks, notifications and health checks can be run.
func scripts(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, s := range o.Scripts {
		if s.Refused == "" {
			continue
		}
		f := Finding{Code: "script", Severity: Error, Subject: s.Block, What: s.Block + ": " + s.Refused, Why: s.Consequence, Remedy: config.CommandRemedy}
		out = append(out, f)
	}
	if len(out) == 0 && len(o.Scripts) > 0 {
		return []Finding{ok("script", "all scripts can be run")}
	}
	return out
}

// observeScripts returns when its context ends, even if a script's file system is unresponsive.
func observeScripts(ctx context.Context, cfg *config.Config, o *Observed) error {
	done := make(chan []Script, 1)
	go func() { done <- checkScripts(cfg) }()
	select {
	case o.Scripts = <-done:
		return nil
	case <-ctx.Done():
		return errors.New("the file system of a script does not answer")
	}
}

func checkScripts(cfg *config.Config) []Script {
	var out []Script
	for _, c := range cfg.Commands() {
		s := Script{Command: c}
		if err := script.Check(script.Command{Args: c.Args, Shell: c.Shell, User: c.User, Group: c.Group, Timeout: c.Timeout}); err != nil {
			s.Refused = err.Error()
		}
		out = append(out, s)
	}
	return out
}
