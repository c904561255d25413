package supervisor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/capability"
)

// Program identifies the roles of `lvs-ha run` and its workers.
const Program = "lvs-ha"

// Running is a process of a running lvs-ha.
type Running struct {
	Name         string // parent, speaker or director
	PID          int
	Capabilities Capabilities // permitted
	NoNewPrivs   bool
	Needs        Capabilities
}

// Excess returns the capabilities that the process has but does not need.
func (r Running) Excess() Capabilities { return r.Capabilities &^ r.Needs }

// FindRunning returns the visible processes of the lvs-ha in this network namespace.
func FindRunning() ([]Running, error) {
	var all []Running
	var extra Capabilities // of --script-capabilities
	for _, r := range []Running{
		{Name: parentRole, Needs: ParentCapabilities},
		{Name: "speaker", Needs: SpeakerCapabilities},
		{Name: "director", Needs: DirectorCapabilities},
	} {
		h, err := role{Program, r.Name}.holder()
		if err != nil {
			return nil, err
		}
		if h == nil || h.pid == 0 {
			continue
		}
		r.PID = h.pid
		if r.Name == parentRole {
			extra = scriptCapabilities(r.PID)
		}
		if r.Name != "speaker" {
			r.Needs |= extra
		}
		if err := r.read(); err == nil { // otherwise it has ended meanwhile
			all = append(all, r)
		}
	}
	return all, nil
}

// FindParent returns the process ID of the lvs-ha in this network namespace; 0: none is visible.
func FindParent() (pid int, err error) {
	h, err := role{Program, parentRole}.holder()
	if err != nil || h == nil || h.foreign() {
		return 0, err
	}
	return h.pid, nil
}

// IsRunning reports whether an lvs-ha is running in this network namespace, and has used the directory. Every user can ask.
func (d RuntimeDir) IsRunning() bool {
	if _, err := os.Stat(filepath.Join(string(d), lockName)); err != nil {
		return false
	}
	inode, err := role{Program, parentRole}.inode()
	return err == nil && inode != ""
}

// read reads /proc/PID/status (proc(5)).
func (r *Running) read() error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", r.PID))
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "CapPrm":
			mask, err := strconv.ParseUint(value, 16, 64)
			if err != nil {
				return err
			}
			r.Capabilities = Capabilities(mask)
		case "NoNewPrivs":
			r.NoNewPrivs = value == "1"
		}
	}
	return lines.Err()
}

// ScriptCapabilitiesFlag is the flag of `lvs-ha run` with what root's scripts may do in addition.
const ScriptCapabilitiesFlag = "script-capabilities"

// scriptCapabilities are those on a process's command line.
func scriptCapabilities(pid int) Capabilities {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return 0
	}
	var all Capabilities
	for args := strings.Split(string(raw), "\x00"); len(args) > 0; args = args[1:] {
		list, ok := strings.CutPrefix(args[0], "--"+ScriptCapabilitiesFlag+"=")
		if !ok && args[0] == "--"+ScriptCapabilitiesFlag && len(args) > 1 {
			list, ok = args[1], true
		}
		if more, err := capability.Parse(list); ok && err == nil {
			all |= more
		}
	}
	return all
}
