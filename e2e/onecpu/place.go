package onecpu

import (
	"context"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// director is one of the pair, independent of the environment.
type director struct {
	name     string
	address  netip.Addr
	priority int
	log      daemonLog

	spawn       func(ctx context.Context, out io.Writer, argv ...string) error
	output      func(ctx context.Context, argv ...string) (string, error)
	write       func(ctx context.Context, path string, data []byte) error
	watchStalls func(ctx context.Context, take func(lab.Sight)) error
}

// listProcesses prints the process IDs of lvs-ha in this network namespace.
const listProcesses = `for p in $(pgrep -x lvs-ha); do
	[ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ] && echo $p
done; true`

func (d *director) processes(ctx context.Context) ([]string, error) {
	out, err := d.output(ctx, "sh", "-c", listProcesses)
	return strings.Fields(out), err
}

// inNamespace creates a director in a namespace of this kernel, on one CPU.
func (r *run) inNamespace(_ context.Context, name string, prefix netip.Prefix, cpu int) (*director, error) {
	host, err := r.lab.Host(name, lab.NIC{Name: "eth0", Bridge: r.bridge, Addresses: []netip.Prefix{prefix}})
	if err != nil {
		return nil, err
	}
	// The directors share the host's file system; each gets a separate directory in place of /run.
	dir := filepath.Join(r.dir, name)
	own := func(s string) string { return strings.Replace(s, "/run/", dir+"/", 1) }
	return &director{
		name: name,
		spawn: func(ctx context.Context, out io.Writer, argv ...string) error {
			pinned := []string{"-c", strconv.Itoa(cpu)}
			for _, a := range argv {
				pinned = append(pinned, own(a))
			}
			cmd := host.Command(ctx, "taskset", pinned...)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Start(); err != nil {
				return err
			}
			go func() { _ = cmd.Wait() }()
			return nil
		},
		output: func(ctx context.Context, argv ...string) (string, error) {
			out, err := host.Command(ctx, argv[0], argv[1:]...).Output()
			return string(out), err
		},
		write: func(_ context.Context, path string, data []byte) error {
			path = own(path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o600)
		},
		watchStalls: func(ctx context.Context, take func(lab.Sight)) error {
			return host.WatchStalls(ctx, cpu, lab.LeastStall, take)
		},
	}, nil
}

// onMachine creates a director in a test kernel with one CPU.
func (r *run) onMachine(ctx context.Context, name string, prefix netip.Prefix, cpu int) (*director, error) {
	m, err := r.lab.NewMachine(lab.DirectorConfig{
		Name: name, CPU: cpu + 1, NICs: []lab.NIC{{Name: "eth0", Bridge: r.bridge, Addresses: []netip.Prefix{prefix}}},
	})
	if err != nil {
		return nil, err
	}
	if err := m.Start(ctx); err != nil {
		return nil, err
	}
	return &director{
		name: name,
		spawn: func(ctx context.Context, out io.Writer, argv ...string) error {
			_, err := m.Spawn(ctx, lab.Command{Argv: argv, Stdout: out, Stderr: out})
			return err
		},
		output: func(ctx context.Context, argv ...string) (string, error) {
			return lab.Output(ctx, m, argv...)
		},
		write:       m.WriteFile,
		watchStalls: m.WatchStalls,
	}, nil
}
