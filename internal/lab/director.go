package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Director is a machine that balances: a machine of its own with the test kernel, or a namespace where this
// kernel has IPVS. /run and /dev/shm are its own; all other files are those of the machine that the lab runs on, and programs
// are started from their path there. Keep files that change, such as a configuration to reload, in /run: the
// test kernel may show an old version of others.
type Director interface {
	Name() string
	// Describe says in a few words what kind of machine it is.
	Describe() string
	// Start boots it and returns when its network cards are up. After Kill or PowerOff it may be started again.
	Start(ctx context.Context) error
	// Kill is a power failure: all stops at once and nothing says goodbye.
	Kill() error
	// PowerOff ends all processes with SIGTERM, then the machine.
	PowerOff(ctx context.Context) error
	// Exec runs a program to its end. An exit status other than 0 is no error.
	Exec(ctx context.Context, argv ...string) (Result, error)
	// Spawn starts a program that goes on until the context or the director ends.
	Spawn(ctx context.Context, c Command) (*Process, error)
	// WriteFile writes a file, for a director's own in /run.
	WriteFile(ctx context.Context, path string, data []byte) error
	// Console is what the kernel and init said; empty for a namespace.
	Console() string
}

// Route is a way to Destination, the default route if that is zero, through a gateway.
type Route struct {
	Destination netip.Prefix
	Via         netip.Addr
}

// DirectorConfig says what a director is. Its hostname is its name.
type DirectorConfig struct {
	Name     string
	NICs     []NIC
	Routes   []Route
	Sysctls  map[string]string
	Modules  []string // beyond DirectorModules
	MemoryMB int      // 256 if 0
	CPU      int      // the core of the machine, counted from 1; the lab spreads machines over all cores if not positive
}

// NewDirector makes a director, switched off: a namespace if this kernel has IPVS, else a machine of its own.
func (l *Lab) NewDirector(c DirectorConfig) (Director, error) {
	if HasIPVS() == nil {
		return l.NewNamespaceDirector(c)
	}
	return l.NewMachine(c)
}

// withMACs gives cards addresses of their own where they have none, so that they keep them when the director is
// switched off and on.
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
