package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/healthcheck"
)

// Command is a command of a configuration.
type Command struct {
	Block       string // "track_script haproxy", "notify.master of vrrp web"
	Consequence string // of a host that cannot run it
	Args        []string
	Shell       bool
	User, Group string
	Timeout     time.Duration
}

// CommandRemedy is how to deal with a command that a host cannot run. A track repeats it at its interval.
const CommandRemedy = "correct the command, or install the program"

// Commands returns the commands of all tracks, notifications and health checks.
func (c *Config) Commands() []Command {
	var list []Command
	for _, t := range c.Tracks {
		if s := t.Script; s != nil {
			list = append(list, Command{"track_script " + t.Name, c.failed(t.Name), s.Command, s.Shell, s.User, s.Group, s.Timeout})
		}
	}
	notify := func(owner string, n *Notify) {
		if n == nil {
			return
		}
		for _, one := range []struct {
			name string
			args []string
		}{{"master", n.Master}, {"backup", n.Backup}, {"fault", n.Fault}, {"stop", n.Stop}, {"up", n.Up}, {"down", n.Down}, {"all", n.All}} {
			if len(one.args) > 0 {
				list = append(list, Command{fmt.Sprintf("notify.%s of %s", one.name, owner), "the notification would fail", one.args, n.Shell, n.User, n.Group, n.Timeout})
			}
		}
	}
	for _, v := range c.VRRP {
		notify("vrrp "+v.Name, v.Notify)
	}
	for _, g := range c.SyncGroups {
		notify("sync_group "+g.Name, g.Notify)
	}
	for _, vs := range c.Services {
		notify("virtual_service "+vs.Name, vs.Notify)
		for _, rs := range vs.RealServers {
			notify(fmt.Sprintf("real_server %s of %s", rs.DestinationKey, vs.Name), rs.Notify)
		}
	}
	return append(list, c.checkCommands()...)
}

// checkCommands returns the commands of health checks, each once.
func (c *Config) checkCommands() []Command {
	var list []Command
	seen := map[string]bool{}
	add := func(service string, specs []healthcheck.Spec) {
		for _, spec := range specs {
			s, ok := spec.Check.(*healthcheck.Script)
			if !ok {
				continue
			}
			if id := string(s.AppendIdentity(nil)); !seen[id] {
				seen[id] = true
				list = append(list, Command{"health_check script of virtual_service " + service, "the check cannot run, and its servers keep their state",
					s.Command, s.Shell, s.User, s.Group, spec.Timeout})
			}
		}
	}
	for _, vs := range c.Services {
		add(vs.Name, vs.Checks)
		for _, rs := range vs.RealServers {
			add(vs.Name, rs.Checks)
		}
	}
	return list
}

// failed describes the consequence of a track that always fails.
func (c *Config) failed(track string) string {
	var faulty []string
	isFault := func(u TrackUse) bool { return u.Name == track && u.Weight == 0 && !u.Reverse }
	for _, v := range c.VRRP {
		if g := c.GroupOf(v.Name); slices.ContainsFunc(v.Tracks, isFault) || g != nil && slices.ContainsFunc(g.Tracks, isFault) {
			faulty = append(faulty, v.Name)
		}
	}
	text := "a script that cannot be run counts as failed"
	const most = 10
	switch n := len(faulty); {
	case n > most:
		text += fmt.Sprintf(", and %s and %d more instances cannot be master", strings.Join(faulty[:most], ", "), n-most)
	case n > 0:
		text += fmt.Sprintf(", and %s cannot be master", strings.Join(faulty, ", "))
	}
	return text
}
