package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/config"
)

// refuseWithout returns an error that names the capabilities that this process lacks for what the configuration asks.
// Without them an instance could become master of addresses that it cannot set.
func refuseWithout(cfg *config.Config) error {
	var lacks []string
	if len(cfg.VRRP)+len(cfg.Services) > 0 && !capable(unix.CAP_NET_ADMIN) {
		lacks = append(lacks, "CAP_NET_ADMIN")
	}
	if len(cfg.VRRP) > 0 && !capable(unix.CAP_NET_RAW) {
		lacks = append(lacks, "CAP_NET_RAW")
	}
	if len(lacks) == 0 {
		return nil
	}
	names := strings.Join(lacks, " and ")
	return fmt.Errorf("this process lacks %s: run it as root, or with AmbientCapabilities=%s in its systemd unit", names, strings.Join(lacks, " "))
}

// capable says whether a capability is in force in this process. What cannot be asked is taken for granted: the kernel
// will tell.
func capable(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return true
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}
