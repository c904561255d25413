package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/script"
)

// Script is a configured command, and why this host cannot run it; empty if it can.
type Script struct {
	Track   bool   // of a track_script block
	Block   string // track_script haproxy, notify.master of vrrp web
	Refused string
}

// scripts checks that the commands of tracks and notifications can be run.
func scripts(_ *config.Config, o *Observed) []Finding {
	var out []Finding
	for _, s := range o.Scripts {
		if s.Refused == "" {
			continue
		}
		f := Finding{Code: "script", Severity: Error, Subject: s.Block, What: s.Block + ": " + s.Refused, Why: "the notification would fail"}
		if s.Track {
			f.Why = "a script that cannot be run counts as failed"
		}
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
	check := func(track bool, block string, c script.Command) {
		s := Script{Track: track, Block: block}
		if err := script.Check(c); err != nil {
			s.Refused = err.Error()
		}
		out = append(out, s)
	}
	for _, t := range cfg.Tracks {
		if s := t.Script; s != nil {
			check(true, "track_script "+t.Name, script.Command{Args: s.Command, Shell: s.Shell, User: s.User, Group: s.Group, Timeout: s.Timeout})
		}
	}
	notify := func(owner string, n *config.Notify) {
		if n == nil {
			return
		}
		for _, one := range []struct {
			name string
			args []string
		}{{"master", n.Master}, {"backup", n.Backup}, {"fault", n.Fault}, {"stop", n.Stop}, {"all", n.All}} {
			if len(one.args) > 0 {
				check(false, fmt.Sprintf("notify.%s of %s", one.name, owner),
					script.Command{Args: one.args, Shell: n.Shell, User: n.User, Group: n.Group, Timeout: n.Timeout})
			}
		}
	}
	for _, v := range cfg.VRRP {
		notify("vrrp "+v.Name, v.Notify)
	}
	for _, g := range cfg.SyncGroups {
		notify("sync_group "+g.Name, g.Notify)
	}
	return out
}
