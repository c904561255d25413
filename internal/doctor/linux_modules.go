package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"golang.org/x/sys/unix"
)

func seeModules(_ context.Context, _ *config.Config, o *Observed) error {
	_, err := os.Stat("/proc/self/net/ip_vs")
	o.IPVS = err == nil
	loaded, err := os.ReadFile("/proc/modules")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list loaded modules: %w", err)
	}
	o.Modules.Loaded = firstWords(string(loaded))
	dir, err := modulesDir()
	if err != nil {
		return err
	}
	dep, depErr := os.ReadFile(filepath.Join(dir, "modules.dep"))
	builtin, builtinErr := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	o.Modules.Loaded = append(o.Modules.Loaded, moduleNames(string(builtin))...)
	o.Modules.Available = moduleNames(string(dep))
	o.Modules.Listed = depErr == nil && builtinErr == nil
	return nil
}

// modulesDir is where the running kernel's modules are.
func modulesDir() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for the kernel's release: %w", err)
	}
	return filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:])), nil
}

func firstWords(table string) []string {
	var out []string
	for line := range strings.Lines(table) {
		if word, _, ok := strings.Cut(line, " "); ok {
			out = append(out, word)
		}
	}
	return out
}

// moduleNames are the modules of modules.dep or modules.builtin: the names of the files at the beginnings of lines.
func moduleNames(table string) []string {
	var out []string
	for line := range strings.Lines(table) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, _, ok := strings.Cut(filepath.Base(file), ".ko")
		if ok && name != "" {
			out = append(out, strings.ReplaceAll(name, "-", "_"))
		}
	}
	return out
}
