package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

func seeProcesses(_ context.Context, _ *config.Config, o *Observed) (err error) {
	o.Processes, err = supervisor.FindRunning()
	return err
}

// rivals are programs that move addresses or program IPVS.
var rivals = []string{"keepalived", "vrrpd", "ucarp", "ldirectord"}

// seeDaemons finds rivals in this network namespace, each name once.
func seeDaemons(_ context.Context, _ *config.Config, o *Observed) error {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return fmt.Errorf("identify the network namespace: %w", err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, file := range files {
		comm, err := os.ReadFile(file)
		name := strings.TrimSpace(string(comm))
		if err != nil || !slices.Contains(rivals, name) {
			continue
		}
		// Without the right to look it is taken for one of this namespace.
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(file), "ns/net")); err == nil && ns != own {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && !slices.ContainsFunc(o.Daemons, func(p Process) bool { return p.Name == name }) {
			o.Daemons = append(o.Daemons, Process{PID: pid, Name: name})
		}
	}
	return nil
}
