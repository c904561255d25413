package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/director"
	"github.com/lvs-ha/lvs-ha/internal/ipvsadm"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/spf13/cobra"
)

// ipvsadmName is the other name of this program. Started under this name, it acts as ipvsadm.
const ipvsadmName = "ipvsadm"

func newIpvsadm() *cobra.Command {
	return &cobra.Command{
		Use:   ipvsadmName + " [command] [options]",
		Short: "Drop-in ipvsadm 1.31: the same commands, options, output and exit status",
		Long: `A drop-in replacement for ipvsadm 1.31: the same commands, options, output and exit status, also when lvs-ha is started
as ipvsadm. What a running lvs-ha manages is protected; use --force to change it anyway.`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if status := runIpvsadm(cmd.Context(), cmd.CommandPath(), args); status != 0 {
				return &exitError{status, nil}
			}
			return nil
		},
	}
}

// ipvsadmArgs returns ipvsadm's name and arguments, if the program was started by that name or subcommand.
func ipvsadmArgs(argv []string) (program string, args []string, ok bool) {
	if filepath.Base(argv[0]) == ipvsadmName {
		return argv[0], argv[1:], true
	}
	if len(argv) > 1 && argv[1] == ipvsadmName {
		return argv[0] + " " + ipvsadmName, argv[2:], true
	}
	return "", nil, false
}

func runIpvsadm(ctx context.Context, program string, args []string) int {
	running := sync.OnceValue(func() owned { return ownedIn(ctx, supervisor.DefaultRuntimeDir) })
	return ipvsadm.Main(ctx, args, ipvsadm.Environment{
		Program: program,
		Owner: func(key ipvs.ServiceKey) (string, bool) {
			name, ok := running().services[key]
			return fmt.Sprintf("virtual_service %q", name), ok
		},
		SyncOwner: func() (string, bool) {
			instance := running().sync
			return fmt.Sprintf("vrrp %q", instance), instance != ""
		},
	})
}

// owned lists what a running lvs-ha manages: services with their names, and the instance that controls connection sync.
type owned struct {
	services map[ipvs.ServiceKey]string
	sync     string
}

// ownedIn queries the daemon of a runtime directory. If the daemon is running but does not respond, its state file is used.
func ownedIn(ctx context.Context, dir supervisor.RuntimeDir) owned {
	o := owned{services: map[ipvs.ServiceKey]string{}}
	status, err := newClient(dir).Status(ctx)
	if errors.Is(err, api.ErrNotRunning) {
		return o
	}
	for _, s := range status.Services {
		o.services[ipvs.ServiceKey(s.ServiceKey)] = s.Name
	}
	for _, d := range status.Sync {
		o.sync = cmp.Or(o.sync, d.Instance)
	}
	if err == nil {
		return o
	}
	cfg, err := director.LastConfig(dir.StateFile())
	if err != nil || cfg == nil {
		return o
	}
	for _, vs := range cfg.Services {
		o.services[vs.ServiceKey] = vs.Name
	}
	for _, v := range cfg.VRRP {
		if v.ConnectionSync != nil {
			o.sync = v.Name
		}
	}
	return o
}
