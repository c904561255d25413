package config

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/lvs-ha/lvs-ha/internal/script"
)

// usedTracks sees that each `track` block names a track, once.
func usedTracks(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	known := map[string]bool{}
	var names []string
	for _, t := range f.tracks() {
		known[t.name.value] = true
		names = append(names, t.name.value)
	}
	used := map[string]bool{}
	look := func(kind string, owner *attr[string], blocks []*trackBlock) {
		seen := map[string]*trackBlock{}
		for _, b := range blocks {
			name := b.Name.value
			used[name] = true
			switch first := seen[name]; {
			case !known[name]:
				diags = append(diags, problem(b.Name.at(), "Unknown track",
					"There is no track_script, track_file, track_process or track_service block %q.%s", name, didYouMean(name, names)))
			case first != nil:
				diags = append(diags, problem(b.Name.at(), "Duplicate track",
					"The %s block %q already uses the track %q at %s. Remove one of them.", kind, owner.value, name, where(first.At)))
			}
			seen[name] = b
		}
	}
	for _, block := range f.VRRP {
		look("vrrp", &block.Name, block.Tracks)
	}
	for _, block := range f.SyncGroups {
		look("sync_group", &block.Name, block.Tracks)
	}
	for _, t := range f.tracks() {
		if !used[t.name.value] {
			diags = append(diags, warning(t.at, "Track without use",
				"No vrrp or sync_group block has a track block %q, so this has no effect.", t.name.value))
		}
	}
	return diags
}

// trackSources refuses tracks of what cannot be watched.
func trackSources(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, b := range f.TrackScripts {
		diags = append(diags, commandProblem("command", &b.Command, b.Shell.value)...)
	}
	for _, b := range f.TrackFiles {
		if b.Path.isOK() && !filepath.IsAbs(b.Path.value) {
			diags = append(diags, problem(b.Path.at(), "Invalid path", "%q is not an absolute path. Write one such as \"/run/maintenance\".", b.Path.value))
		}
	}
	for _, b := range f.TrackProcesses {
		if b.Process.isSet() && b.Command.isSet() {
			diags = append(diags, problem(b.Process.at(), "Process and command", "A process is found by its name or by its command line. Remove one of them."))
		}
		if b.Command.isSet() && len(b.Command.value) == 0 {
			diags = append(diags, problem(b.Command.at(), "Invalid command", "The command is empty. Write the program as its command line shows it, such as [\"/usr/sbin/haproxy\"]."))
		}
		if b.Maximum.isSet() && b.Minimum.isOK() && b.Maximum.value < b.Minimum.value {
			diags = append(diags, problem(b.Maximum.at(), "Invalid maximum",
				"The maximum %d is less than the minimum %d.", b.Maximum.value, b.Minimum.value))
		}
	}
	services := map[string]*serviceBlock{}
	var names []string
	for _, s := range f.Services {
		services[s.Name.value] = s
		names = append(names, s.Name.value)
	}
	for _, b := range f.TrackServices {
		at := b.Name.at()
		if b.Service.isSet() {
			at = b.Service.at()
		}
		s := services[b.service()]
		switch {
		case !b.Service.isOK():
		case s == nil:
			diags = append(diags, problem(at, "Unknown virtual_service",
				"There is no virtual_service %q.%s", b.service(), didYouMean(b.service(), names)))
		case b.Minimum.isOK() && b.Minimum.value > int64(len(s.RealServers)) && len(s.Discover) == 0:
			diags = append(diags, problem(b.Minimum.at(), "Invalid minimum",
				"The virtual_service %q has fewer real servers: %d.", b.service(), len(s.RealServers)))
		}
	}
	return diags
}

// commandProblem refuses a command that cannot be run on any host.
func commandProblem(name string, command *attr[[]item[string]], shell bool) hcl.Diagnostics {
	if !command.isOK() {
		return nil
	}
	if fault := script.Fault(values(command.value), shell); fault != "" {
		at := command.at()
		if len(command.value) > 0 {
			at = command.value[0].at
		}
		return hcl.Diagnostics{problem(at, "Invalid "+name, "%s", fault)}
	}
	return nil
}

// signalsOfNobody warns about keepalived's usual check, "killall -0 haproxy", as a user that may not send signals to the
// process (kill(2)): it always fails. Root's script has CAP_KILL, any other user only reaches its own processes.
func signalsOfNobody(f *file) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, b := range f.TrackScripts {
		args := values(b.Command.value)
		if b.Shell.value && len(args) > 0 {
			args = strings.Fields(args[0])
		}
		if !b.User.isOK() || b.User.value != "nobody" || len(args) < 2 {
			continue
		}
		if program := filepath.Base(args[0]); slices.Contains([]string{"killall", "pkill", "kill"}, program) && slices.Contains(args[1:], "-0") {
			diags = append(diags, warning(b.Command.at(), "Signal without permission",
				"nobody may not send signals to processes of other users: %s -0 fails even while they run. "+
					"Write a track_process block instead, or user = \"root\".", program))
		}
	}
	return diags
}
