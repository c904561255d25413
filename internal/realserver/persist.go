package realserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Persistence writes the configuration files that set up a real server at boot. It does not touch other files.
type Persistence struct {
	Root string // "/"
}

// File is a configuration file. Its path is relative to Root.
type File struct {
	Path    string
	Content string
}

// networkManager is the program that configures network devices at boot.
type networkManager string

const (
	networkd networkManager = "systemd-networkd"
	ifupdown networkManager = "ifupdown"
)

const (
	header = "# Written by lvs-ha realserver up --persist; lvs-ha realserver down --persist removes it.\n"

	sysctlFile   = "etc/sysctl.d/60-lvs-ha-realserver.conf"
	modulesFile  = "etc/modules-load.d/lvs-ha-realserver.conf"
	ifupdownFile = "etc/network/interfaces.d/lvs-ha-realserver"
	networkdDir  = "etc/systemd/network"
	networkdName = "05-lvs-ha-realserver-%s.network"
	recordFile   = "var/lib/lvs-ha/realserver.json"

	interfacesFile = "etc/network/interfaces"
)

// manager detects the host's network manager.
func (p Persistence) manager() (networkManager, error) {
	// networkd's state file exists only while it runs.
	if _, err := os.Stat(p.path("run/systemd/netif/state")); err == nil {
		return networkd, nil
	}
	interfaces, err := os.ReadFile(p.path(interfacesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("neither systemd-networkd nor ifupdown manages this host's network: " +
			"run `lvs-ha realserver up` at boot from a systemd unit or your init system (see docs/realserver.md)")
	}
	if err != nil {
		return "", fmt.Errorf("find out what manages the network: %w", err)
	}
	for line := range strings.Lines(string(interfaces)) {
		f := strings.Fields(line)
		if len(f) == 2 && (f[0] == "source" || f[0] == "source-directory") && strings.HasPrefix(f[1], "/etc/network/interfaces.d") {
			return ifupdown, nil
		}
	}
	return "", fmt.Errorf("/%s does not read /etc/network/interfaces.d: add the line `source /etc/network/interfaces.d/*` to it", interfacesFile)
}

func (p Persistence) path(below string) string { return filepath.Join(p.Root, below) }

// Files returns the files for the next boot. Those that add addresses come last: without the others the host would
// answer ARP for them.
func (p Persistence) Files(w Wanted) ([]File, error) {
	steps := Script(w, Observed{})
	if len(steps) == 0 {
		return nil, nil
	}
	m, err := p.manager()
	if err != nil {
		return nil, err
	}
	var files []File
	if content := sysctlLines(steps); content != "" {
		files = append(files, File{Path: sysctlFile, Content: header + content})
	}
	if content := moduleLines(steps); content != "" {
		files = append(files, File{Path: modulesFile, Content: header + content})
	}
	if m == networkd {
		networks, err := networkdFiles(w)
		if err = errors.Join(err, p.foreignNetworks(w)); err != nil {
			return nil, err
		}
		files = append(files, networks...)
	} else {
		files = append(files, File{Path: ifupdownFile, Content: header + ifupdownStanzas(steps)})
	}
	return files, p.foreign(files)
}

// foreign returns an error for each file that exists and was not written by lvs-ha.
func (p Persistence) foreign(files []File) error {
	var errs []error
	for _, f := range files {
		old, err := os.ReadFile(p.path(f.Path))
		if err == nil && !strings.HasPrefix(string(old), header) {
			errs = append(errs, fmt.Errorf("%s exists and was not written by lvs-ha: move it away", p.path(f.Path)))
		}
	}
	return errors.Join(errs...)
}

// Write writes the files for the wanted addresses and removes files of earlier calls that are no longer needed. With
// nothing wanted, it removes all. The record keeps the previous state for a later `down`.
func (p Persistence) Write(state State) (written, removed []string, err error) {
	files, err := p.Files(state.Wanted)
	if err != nil {
		return nil, nil, err
	}
	if len(files) > 0 {
		if err := writeState(p.Record(), state); err != nil {
			return nil, nil, fmt.Errorf("record the files for the next boot: %w", err)
		}
		written = append(written, "/"+recordFile)
	}
	for _, f := range files {
		if err := p.write(f); err != nil {
			return written, nil, err
		}
		written = append(written, "/"+f.Path)
	}
	removed, err = p.remove(files)
	return written, removed, err
}

func (p Persistence) write(f File) error {
	path := p.path(f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(f.Content), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (p Persistence) remove(except []File) ([]string, error) {
	paths := []string{ifupdownFile}
	found, err := filepath.Glob(p.path(filepath.Join(networkdDir, fmt.Sprintf(networkdName, "*"))))
	if err != nil {
		return nil, fmt.Errorf("find files of systemd-networkd: %w", err)
	}
	for _, f := range found {
		paths = append(paths, filepath.Join(networkdDir, filepath.Base(f)))
	}
	paths = append(paths, sysctlFile, modulesFile) // after the files that add addresses
	if len(except) == 0 {
		paths = append(paths, recordFile)
	}
	var removed []string
	for _, path := range paths {
		if slices.ContainsFunc(except, func(f File) bool { return f.Path == path }) {
			continue
		}
		content, err := os.ReadFile(p.path(path))
		if errors.Is(err, fs.ErrNotExist) || err == nil && path != recordFile && !strings.HasPrefix(string(content), header) {
			continue
		}
		if err = errors.Join(err, os.Remove(p.path(path))); err != nil {
			return removed, fmt.Errorf("remove the files for the next boot: %w", err)
		}
		removed = append(removed, "/"+path)
	}
	return removed, nil
}

// Record returns the path of the state file that Write leaves for later boots.
func (p Persistence) Record() string { return p.path(recordFile) }

// Written reports whether there are files for the next boot.
func (p Persistence) Written() bool {
	_, err := os.Stat(p.Record())
	return err == nil
}

func sysctlLines(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		if s.Action != SetSysctl {
			continue
		}
		// A tunnel device may not exist yet: systemd-udevd applies its values when it appears.
		mark := ""
		if !strings.Contains(s.Key, ".conf.all.") && !strings.Contains(s.Key, ".conf.lo.") {
			mark = "-"
		}
		fmt.Fprintf(&b, "%s%s = %s\n", mark, s.Key, s.Value)
	}
	return b.String()
}

func moduleLines(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		if s.Action == LoadModule {
			b.WriteString(s.Module + "\n")
		}
	}
	return b.String()
}
