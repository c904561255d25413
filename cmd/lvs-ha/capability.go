package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

// refuseWithout returns an error that names the missing capabilities that the configuration requires. Otherwise an
// instance could become master without being able to add its addresses.
func refuseWithout(cfg *config.Config, has supervisor.Capabilities) error {
	var lacks []string
	if len(cfg.VRRP)+len(cfg.Services) > 0 && !has.Has(unix.CAP_NET_ADMIN) {
		lacks = append(lacks, "CAP_NET_ADMIN")
	}
	if len(cfg.VRRP) > 0 && !has.Has(unix.CAP_NET_RAW) {
		lacks = append(lacks, "CAP_NET_RAW")
	}
	if len(lacks) == 0 {
		return nil
	}
	return &exitError{supervisor.ExitRefused, fmt.Errorf("lvs-ha: this process lacks %s: run it as root, or with AmbientCapabilities=%s in its systemd unit",
		strings.Join(lacks, " and "), strings.Join(lacks, " "))}
}
