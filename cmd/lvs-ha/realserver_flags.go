package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/lvs-ha/lvs-ha/internal/realserver"
	"github.com/spf13/cobra"
)

// realserverFlags describe the desired setup.
type realserverFlags struct {
	conf      configFlags
	vips      []string
	mode      string
	iface     string
	tunnel    string
	port      uint16
	outer     string
	directors []string
	stateDir  string
	useConfig bool
}

func (f *realserverFlags) register(cmd *cobra.Command) {
	f.conf.register(cmd)
	flags := cmd.Flags()
	flags.Lookup("config").DefValue = ""
	flags.StringArrayVar(&f.vips, "vip", nil, "virtual `address`; may be repeated")
	flags.StringVar(&f.mode, "mode", "dr", "forwarding method of the director: dr, tun or nat")
	flags.StringVar(&f.iface, "interface", "lo", "with dr: device for the addresses")
	flags.StringVar(&f.tunnel, "tunnel", "ipip", "with tun: tunnel type, ipip, gre or gue")
	flags.Uint16Var(&f.port, "tunnel-port", realserver.DefaultGUEPort, "with gue: UDP `port`")
	flags.StringVar(&f.outer, "outer", "", "with tun: address family between director and real server, ipv4 or ipv6 (default: as the virtual address)")
	flags.StringArrayVar(&f.directors, "director", nil, "with nat: the director's `address` on this network; may be repeated")
	registerStateDir(cmd, &f.stateDir)
}

func registerStateDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "state-dir", "/run/lvs-ha-realserver", "directory for the record of what up changed")
}

// misplaced returns an error for flags without effect, such as --tunnel gre without --mode tun.
func (f *realserverFlags) misplaced(changed func(flag string) bool) error {
	var errs []error
	for _, needs := range []struct{ name, mode string }{
		{"interface", "dr"}, {"tunnel", "tun"}, {"tunnel-port", "tun"}, {"outer", "tun"}, {"director", "nat"},
	} {
		// With -c, the configuration sets the modes.
		general := f.useConfig && needs.mode != "tun"
		if changed(needs.name) && f.mode != needs.mode && !general {
			errs = append(errs, fmt.Errorf("--%s requires --mode %s, not %s", needs.name, needs.mode, f.mode))
		}
	}
	if changed("mode") && f.useConfig && len(f.vips) == 0 {
		errs = append(errs, errors.New("--mode requires --vip: with -c, the configuration sets the modes"))
	}
	return errors.Join(errs...)
}

// wanted returns the setup described by the flags: empty without addresses and configuration.
func (f *realserverFlags) wanted(ctx context.Context, changed func(flag string) bool, notes io.Writer) (realserver.Wanted, error) {
	var w realserver.Wanted
	f.useConfig = changed("config")
	if err := f.misplaced(changed); err != nil {
		return w, err
	}
	if f.useConfig {
		cfg, _, err := f.conf.load(onTerminal(os.Stderr))
		if err != nil {
			return w, &exitError{1, err}
		}
		o, err := realserver.Linux{}.Observe(ctx)
		if err != nil {
			return w, err
		}
		found, said, err := realserver.FromConfig(cfg, o.LocalAddresses())
		if err != nil {
			return w, fmt.Errorf("%s: %w", f.conf.path, err)
		}
		for _, s := range said {
			fmt.Fprintf(notes, "note: %s\n", s)
		}
		w = found
	}
	vips, err := parseVIPs(f.vips)
	if err != nil {
		return w, err
	}
	for _, a := range vips {
		v := realserver.VIP{Address: a, Mode: realserver.Mode(f.mode)}
		if v.Mode == realserver.TUN {
			if v.Tunnel, err = f.tunnelOf(a); err != nil {
				return w, err
			}
		}
		w.VIPs = append(w.VIPs, v)
	}
	for i := range w.VIPs {
		if w.VIPs[i].Mode == realserver.DR {
			w.VIPs[i].Interface = f.iface
		}
	}
	for _, s := range f.directors {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return w, fmt.Errorf("--director %q: want an IPv4 or IPv6 address", s)
		}
		w.Directors = append(w.Directors, a)
	}
	return w, nil
}

func (f *realserverFlags) tunnelOf(a netip.Addr) (*realserver.Tunnel, error) {
	t := &realserver.Tunnel{Type: realserver.TunnelType(f.tunnel), Outer4: a.Is4()}
	switch f.outer {
	case "":
	case "ipv4", "ipv6":
		t.Outer4 = f.outer == "ipv4"
	default:
		return nil, fmt.Errorf("--outer %q: want ipv4 or ipv6", f.outer)
	}
	if t.Type == realserver.GUE {
		t.Port = f.port
	}
	return t, nil
}

func parseVIPs(texts []string) ([]netip.Addr, error) {
	var out []netip.Addr
	var errs []error
	for _, s := range texts {
		a, err := realserver.ParseVIP(s)
		out, errs = append(out, a), append(errs, err)
	}
	return out, errors.Join(errs...)
}
