package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
	"github.com/lvs-ha/lvs-ha/ipvs"
	"github.com/lvs-ha/lvs-ha/ipvs/ipvsadm"
	"github.com/spf13/cobra"
)

// ipvsadmName is a name that this program may be started under to be ipvsadm.
const ipvsadmName = "ipvsadm"

func newIpvsadm() *cobra.Command {
	return &cobra.Command{
		Use:   ipvsadmName + " [command] [options]",
		Short: "ipvsadm 1.31: the same commands, options, output and exit status",
		Long: `ipvsadm 1.31 for hands and scripts that know it: the same commands, options, output and exit status, also when lvs-ha
is started under the name ipvsadm. It refuses to touch what a running lvs-ha owns, unless --force says so.`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if status := runIpvsadm(cmd.Context(), args); status != 0 {
				return &exitError{status, nil}
			}
			return nil
		},
	}
}

// calledIpvsadm says whether the program was started under ipvsadm's name.
func calledIpvsadm() bool { return filepath.Base(os.Args[0]) == ipvsadmName }

func runIpvsadm(ctx context.Context, args []string) int {
	running := sync.OnceValue(func() api.Status {
		status, err := api.NewClient(supervisor.DefaultRuntimeDir.APISocket()).Status(ctx)
		if err != nil {
			return api.Status{} // nobody owns anything
		}
		return status
	})
	return ipvsadm.Main(ctx, args, ipvsadm.Environment{
		Owner: func(key ipvs.ServiceKey) (string, bool) {
			for _, s := range running().Services {
				if s.ServiceKey == key {
					return fmt.Sprintf("virtual_service %q", s.Name), true
				}
			}
			return "", false
		},
		SyncOwner: func() (string, bool) {
			for _, d := range running().Sync {
				if d.Instance != "" {
					return fmt.Sprintf("vrrp %q", d.Instance), true
				}
			}
			return "", false
		},
	})
}
