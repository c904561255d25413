package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/lvs-ha/lvs-ha/vrrp"
	"golang.org/x/sys/unix"
)

const (
	commandTimeout = 5 * time.Second // of one program
	statusTimeout  = 2 * time.Second // of the running daemon
)

// Linux is this host, in the network namespace of the process.
type Linux struct {
	APISocket string // of the daemon

	// Capabilities are those of the daemon, if this process is a part of it that has fewer; 0 otherwise.
	Capabilities uint64
}

var _ Machine = Linux{}

// part observes one subject. It writes only fields that no other part writes.
type part struct {
	what string
	see  func(ctx context.Context, cfg *config.Config, o *Observed) error
}

// Observe examines all subjects concurrently. It returns when its context ends at the latest.
func (l Linux) Observe(ctx context.Context, cfg *config.Config) *Observed {
	o := &Observed{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, p := range []part{
		{"kernel modules", observeModules},
		{"kernel parameters", observeSysctls},
		{"capabilities", l.observeCapabilities},
		{"the daemon's processes", observeProcesses},
		{"the clock", observeClock},
		{"packet filters", observeFirewall},
		{"other programs", observeDaemons},
		{"scripts", observeScripts},
		{"adverts", observeAdverts},
		{"the network", observeNetwork},
		{"the running daemon", l.observeRunning},
	} {
		group.Go(func() {
			if err := p.see(ctx, cfg, o); err != nil {
				mu.Lock()
				defer mu.Unlock()
				o.Unseen = append(o.Unseen, Unseen{What: p.what, Err: err.Error()})
			}
		})
	}
	group.Wait()
	return o
}

func observeSysctls(_ context.Context, _ *config.Config, o *Observed) error {
	o.Sysctls = map[string]string{}
	for _, pattern := range []string{
		"net.ipv4.ip_forward", "net.ipv4.vs.*",
		"net.ipv4.conf.*.arp_ignore", "net.ipv4.conf.*.arp_announce", "net.ipv4.conf.*.rp_filter",
		"net.ipv4.conf.*.send_redirects", "net.ipv4.conf.*.promote_secondaries", "net.ipv4.conf.*.forwarding",
		"net.ipv6.conf.*.accept_ra", "net.ipv6.conf.*.forwarding",
	} {
		keys, err := sysctl.System.Glob(pattern)
		if err != nil {
			return err
		}
		for _, key := range keys {
			// Some are write-only, and interfaces come and go.
			if v, err := sysctl.System.Read(key); err == nil {
				o.Sysctls[key] = v
			}
		}
	}
	return nil
}

func (l Linux) observeCapabilities(_ context.Context, _ *config.Config, o *Observed) error {
	if o.Capabilities = l.Capabilities; o.Capabilities != 0 {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	o.Capabilities = uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
	return nil
}

func observeClock(_ context.Context, _ *config.Config, o *Observed) error {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return fmt.Errorf("read the clock's state: %w", err)
	}
	o.Clock = Clock{Known: true, Synchronized: t.Status&unix.STA_UNSYNC == 0}
	return nil
}

// observeRunning reads the status of the daemon. If nothing listens on the socket, the daemon is not running.
func (l Linux) observeRunning(ctx context.Context, _ *config.Config, o *Observed) error {
	if _, err := os.Stat(l.APISocket); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := api.NewClient(l.APISocket).Status(ctx)
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	o.Running = &Running{States: map[string]vrrp.State{}, Conflicts: map[string][]api.Conflict{}, VMACs: map[string]*api.VMAC{}}
	for _, v := range status.VRRP {
		o.Running.States[v.Name], o.Running.Conflicts[v.Name], o.Running.VMACs[v.Name] = v.State, v.Conflicts, v.VMAC
	}
	return nil
}

// Fix applies a fix, which lasts until the next boot.
func (Linux) Fix(ctx context.Context, f Fix) error {
	if f.Module == "" {
		return sysctl.System.Write(f.Key, f.Value)
	}
	out, err := output(ctx, "modprobe", f.Module)
	if err != nil {
		return fmt.Errorf("load module %s: %w: %s", f.Module, err, strings.TrimSpace(out))
	}
	return nil
}

// output runs a program with a time limit and returns all its output.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(name), args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// program looks up a program in PATH and in the directories that are only in root's PATH.
func program(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name
		}
	}
	return name
}
