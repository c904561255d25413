package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// netNamespaceDir is where ip-netns(8) binds network namespaces.
const netNamespaceDir = "/run/netns"

// registerNetNamespace adds a flag to all commands that moves them to a network namespace before they do anything else.
func registerNetNamespace(root *cobra.Command) {
	var name string
	root.PersistentFlags().StringVar(&name, "net-namespace", "", "network namespace to work in, by its `name` in ip netns")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return nil
		}
		if err := enterNetNamespace(name); err != nil {
			return err
		}
		if dir := cmd.Flags().Lookup("runtime-dir"); dir != nil && !dir.Changed {
			return dir.Value.Set(string(supervisor.DefaultRuntimeDir) + "-" + name)
		}
		return nil
	}
}

// enterNetNamespace returns if this process is in the namespace. Otherwise it starts the program again, in the same process:
// setns(2) changes only the calling thread, and all threads and workers must be in the namespace.
func enterNetNamespace(name string) error {
	if name == "." || name == ".." || filepath.Base(name) != name {
		return fmt.Errorf("--net-namespace %q: want a name, as `ip netns list` shows it", name)
	}
	path := filepath.Join(netNamespaceDir, name)
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("network namespace %s does not exist: create it with `ip netns add %s`", name, name)
	case err != nil:
		return fmt.Errorf("entering network namespace %s: %w", name, err)
	}
	defer file.Close()
	wanted, err := file.Stat()
	if err != nil {
		return fmt.Errorf("entering network namespace %s: %w", name, err)
	}
	if current, err := os.Stat("/proc/self/ns/net"); err == nil && os.SameFile(wanted, current) {
		return nil
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the path of this binary: %w", err)
	}
	runtime.LockOSThread()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("entering network namespace %s: %w: it needs CAP_SYS_ADMIN; with systemd, set NetworkNamespacePath=%s", name, err, path)
		}
		return fmt.Errorf("entering network namespace %s: %w", name, err)
	}
	return fmt.Errorf("starting %s in network namespace %s: %w", binary, name, syscall.Exec(binary, os.Args, os.Environ()))
}
