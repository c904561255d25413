package scene

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Options configure lvs-ha on the directors.
type Options struct {
	Binary  string            // of lvs-ha
	Config  string            // path of the configuration, the same on both
	Text    []byte            // of the configuration: written to its path, then in /run, before each start
	Args    []string          // more arguments of `lvs-ha run`
	Sysctls map[string]string // other than the layout's
}

// Scene is a pair of directors with real servers and a client.
type Scene struct {
	Directors  []*Director
	Servers    []*lab.Web
	Client     *lab.Client
	ClientHost *lab.Node
}

// Director is a machine on which lvs-ha runs.
type Director struct {
	lab.Director
	options Options

	mu     sync.Mutex
	daemon *lab.Process
	log    *bytes.Buffer
}

// Build creates the hosts of a layout. The directors are powered off.
func Build(on *lab.Lab, layout Layout, o Options) (*Scene, error) {
	p, err := layout.plan(on)
	if err != nil {
		return nil, err
	}
	s := &Scene{}
	if s.ClientHost, err = on.Host("client", p.client...); err != nil {
		return nil, err
	}
	s.Client = s.ClientHost.Client(nil)
	if p.router != nil {
		router, err := on.Host("router", p.router...)
		if err == nil {
			err = router.Sysctl("net.ipv4.ip_forward", "1")
		}
		if err != nil {
			return nil, err
		}
	}
	for _, v := range p.servers {
		web, err := v.build(on)
		if err != nil {
			return nil, err
		}
		s.Servers = append(s.Servers, web)
	}
	for _, c := range p.directors {
		maps.Copy(c.Sysctls, o.Sysctls)
		d, err := on.NewDirector(c)
		if err != nil {
			return nil, err
		}
		s.Directors = append(s.Directors, &Director{Director: d, options: o, log: &bytes.Buffer{}})
	}
	return s, nil
}

func (v server) build(on *lab.Lab) (*lab.Web, error) {
	host, err := on.Host(v.name, v.nic)
	if err != nil {
		return nil, err
	}
	if v.prepare != nil {
		if err := v.prepare(host); err != nil {
			return nil, err
		}
	}
	if v.gateway != "" {
		if err := host.AddRoute(lab.Default, netip.MustParseAddr(v.gateway)); err != nil {
			return nil, err
		}
	}
	return host.Web(lab.WebConfig{Address: v.listen})
}

// Start boots all directors at the same time and starts lvs-ha on each.
func (s *Scene) Start(ctx context.Context) error {
	errs := make([]error, len(s.Directors))
	var wg sync.WaitGroup
	for i, d := range s.Directors {
		wg.Go(func() { errs[i] = d.PowerOn(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// PowerOn boots a director and starts lvs-ha on it.
func (d *Director) PowerOn(ctx context.Context) error {
	if err := d.Director.Start(ctx); err != nil {
		return err
	}
	return d.Run(ctx)
}

// Run starts lvs-ha on a running director.
func (d *Director) Run(ctx context.Context) error {
	if d.options.Text != nil {
		if err := d.WriteFile(ctx, d.options.Config, d.options.Text); err != nil {
			return err
		}
	}
	argv := append([]string{d.options.Binary, "run", "-c", d.options.Config, "--node", d.Name()}, d.options.Args...)
	daemon, err := d.Spawn(context.WithoutCancel(ctx), lab.Command{Argv: argv, Stdout: d, Stderr: d})
	if err != nil {
		return fmt.Errorf("%s: start lvs-ha: %w", d.Name(), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.daemon = daemon
	return nil
}

// Stop stops lvs-ha on a director and waits for its end.
func (d *Director) Stop(ctx context.Context) error {
	d.mu.Lock()
	daemon := d.daemon
	d.mu.Unlock()
	if err := daemon.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	code, err := daemon.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: lvs-ha ended with status %d", d.Name(), code)
	}
	return err
}

// Write collects lvs-ha's log.
func (d *Director) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(p)
}

// Log returns lvs-ha's log on this director.
func (d *Director) Log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// ForgetLog clears the collected log.
func (d *Director) ForgetLog() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log.Reset()
}

// Ended reports whether the lvs-ha that was started last has ended.
func (d *Director) Ended() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.daemon.Done():
		return true
	default:
		return false
	}
}

// Command runs a command of lvs-ha on the director and returns its output.
func (d *Director) Command(ctx context.Context, args ...string) (string, error) {
	return lab.Output(ctx, d.Director, append([]string{d.options.Binary}, args...)...)
}

// Status returns lvs-ha's status.
func (d *Director) Status(ctx context.Context) (api.Status, error) {
	var s api.Status
	out, err := d.Command(ctx, "status", "-o", "json")
	if err != nil && out == "" { // otherwise it is degraded, which has its own exit status
		return s, err
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&s); err != nil && err != io.EOF {
		return s, fmt.Errorf("%s: status: %w", d.Name(), err)
	}
	return s, nil
}

// IsMaster reports whether all VRRP instances of a director are master.
func IsMaster(s api.Status) bool { return allInState(s, vrrp.Master) }

// IsBackup reports whether all VRRP instances of a director are backup.
func IsBackup(s api.Status) bool { return allInState(s, vrrp.Backup) }

func allInState(s api.Status, want vrrp.State) bool {
	for _, v := range s.VRRP {
		if v.State != want {
			return false
		}
	}
	return len(s.VRRP) > 0
}

// Pool returns the addresses of the real servers with a weight in the kernel's table, over all services.
func Pool(s api.Status) []string {
	var pool []string
	for _, service := range s.Services {
		for _, r := range service.Servers {
			if r.Present && r.KernelWeight > 0 {
				pool = append(pool, r.Address.String())
			}
		}
	}
	return pool
}

// Await polls a director's status until it is as wanted. The error contains the last one.
func (d *Director) Await(ctx context.Context, what string, wanted func(api.Status) bool) (api.Status, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := d.Status(ctx)
		if err == nil && wanted(s) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("%s is not %s in time: %w", d.Name(), what, errors.Join(context.Cause(ctx), err))
		case <-tick.C:
		}
	}
}

// Ready waits until the first director is master, the others are backup, and all have the complete pool.
func (s *Scene) Ready(ctx context.Context) error {
	for i, d := range s.Directors {
		in, what := IsBackup, "backup with the whole pool"
		if i == 0 {
			in, what = IsMaster, "master with the whole pool"
		}
		_, err := d.Await(ctx, what, func(st api.Status) bool { return in(st) && len(Pool(st)) == len(s.Servers) })
		if err != nil {
			return err
		}
	}
	return nil
}

// Connections returns the client's ends of the TCP connections in a director's IPVS connection table.
func (d *Director) Connections(ctx context.Context) (map[netip.AddrPort]bool, error) {
	out, err := lab.Output(ctx, d.Director, "cat", "/proc/net/ip_vs_conn")
	if err != nil {
		return nil, err
	}
	return parseConnections(out)
}
