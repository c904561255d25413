package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Director is a balancing machine: a machine with the test kernel, or a namespace if this kernel has IPVS. It has its
// own /run and /dev/shm; all other files are those of the host, and programs are started from their path there. Put
// files that change, such as a configuration to reload, in /run: the test kernel may show an old version of other files.
type Director interface {
	Name() string
	// Describe returns a short description of the machine.
	Describe() string
	// Start boots it and returns when its interfaces are up. It may be started again after Kill or PowerOff.
	Start(ctx context.Context) error
	// Kill simulates a power failure: everything stops at once.
	Kill() error
	// PowerOff ends all processes with SIGTERM, then the machine.
	PowerOff(ctx context.Context) error
	// Exec runs a program to completion. An exit status other than 0 is not an error.
	Exec(ctx context.Context, argv ...string) (Result, error)
	// Spawn starts a program that runs until the context or the director ends.
	Spawn(ctx context.Context, c Command) (*Process, error)
	// WriteFile writes a file, such as one in the director's /run.
	WriteFile(ctx context.Context, path string, data []byte) error
	// Console returns the output of kernel and init; empty for a namespace.
	Console() string
}

// Route is a route to Destination through a gateway; the default route if Destination is zero.
type Route struct {
	Destination netip.Prefix
	Via         netip.Addr
}

// DirectorConfig describes a director. Its hostname is its name.
type DirectorConfig struct {
	Name     string
	NICs     []NIC
	Routes   []Route
	Sysctls  map[string]string
	Modules  []string // in addition to DirectorModules
	MemoryMB int      // 256 if 0
	CPU      int      // the core, numbered from 1; if not positive, the lab distributes machines over all cores
}

// NewDirector creates a powered-off director: a namespace if this kernel has IPVS, else a machine.
func (l *Lab) NewDirector(c DirectorConfig) (Director, error) {
	if HasIPVS() == nil {
		return l.NewNamespaceDirector(c)
	}
	return l.NewMachine(c)
}

// withMACs assigns MAC addresses to interfaces without one, so that they stay the same across power cycles.
func (l *Lab) withMACs(nics []NIC) []NIC {
	nics = slices.Clone(nics)
	for i := range nics {
		if nics[i].MAC == nil {
			n := l.nextPort()
			nics[i].MAC = net.HardwareAddr{0x02, 0x1a, 0xb0, 0, byte(n >> 8), byte(n)}
		}
	}
	return nics
}

// Output runs a program on a director and returns its standard output. An exit status other than 0 is an error.
func Output(ctx context.Context, d Director, argv ...string) (string, error) {
	r, err := d.Exec(ctx, argv...)
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("exit status %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	if err != nil {
		return string(r.Stdout), fmt.Errorf("%s: %s: %w", d.Name(), strings.Join(argv, " "), err)
	}
	return string(r.Stdout), nil
}

// DirectorModules are the kernel modules that a director loads at boot.
func DirectorModules() []string {
	return []string{
		"ipv6", "af_packet", "macvlan", "dummy", "ipip", "ip6_tunnel",
		"ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh",
		"nf_conntrack", "iptable_mangle", "iptable_nat", "xt_mark", "xt_tcpudp",
	}
}
