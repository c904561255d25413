package realserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// devices returns the devices of the wanted addresses, without repetition.
func (w Wanted) devices() []string {
	var out []string
	for _, p := range w.placements() {
		if !slices.Contains(out, p.device.name) {
			out = append(out, p.device.name)
		}
	}
	return out
}

// networkdFiles returns one .network file per device (systemd.network(5)).
func networkdFiles(w Wanted) ([]File, error) {
	for _, p := range w.placements() {
		if p.device.any || p.device.port != 0 {
			return nil, fmt.Errorf("%s: systemd-networkd cannot set up %s for this kind of tunnel: "+
				"run `lvs-ha realserver up` at boot from a systemd unit (see docs/realserver.md)", p.address, p.device.name)
		}
	}
	var files []File
	for _, name := range w.devices() {
		var b strings.Builder
		b.WriteString(header)
		fmt.Fprintf(&b, "[Match]\nName=%s\n", name)
		if name != loopback {
			b.WriteString("\n[Network]\nLinkLocalAddressing=no\n")
		}
		for _, p := range w.placements() {
			if p.device.name != name {
				continue
			}
			fmt.Fprintf(&b, "\n[Address]\nAddress=%s\n", HostPrefix(p.address))
			if p.address.Is6() {
				b.WriteString("PreferredLifetime=0\nDuplicateAddressDetection=none\n")
			} else {
				fmt.Fprintf(&b, "\n[Route]\nDestination=%s\nScope=link\n", HostPrefix(p.address))
			}
		}
		files = append(files, File{Path: filepath.Join(networkdDir, fmt.Sprintf(networkdName, name)), Content: b.String()})
	}
	return files, nil
}

// foreignNetworks refuses a device that another .network file names: systemd-networkd applies only one of them.
func (p Persistence) foreignNetworks(w Wanted) error {
	var errs []error
	for _, dir := range []string{networkdDir, "run/systemd/network"} {
		files, err := filepath.Glob(p.path(filepath.Join(dir, "*.network")))
		if err != nil {
			return fmt.Errorf("find files of systemd-networkd: %w", err)
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				errs = append(errs, fmt.Errorf("read files of systemd-networkd: %w", err))
				continue
			}
			if strings.HasPrefix(string(content), header) {
				continue
			}
			for line := range strings.Lines(string(content)) {
				names, ok := strings.CutPrefix(strings.TrimSpace(line), "Name=")
				if !ok {
					continue
				}
				for _, d := range w.devices() {
					if slices.Contains(strings.Fields(names), d) {
						errs = append(errs, fmt.Errorf("%s already configures %s, and systemd-networkd applies only one file per device: "+
							"add the addresses to it by hand", f, d))
					}
				}
			}
		}
	}
	return errors.Join(errs...)
}

// ifupdownStanzas configure each device in addition to existing stanzas for it (interfaces(5)).
func ifupdownStanzas(steps []Step) string {
	var devices []string
	for _, s := range steps {
		if s.Action == SetUp && !slices.Contains(devices, s.Interface) {
			devices = append(devices, s.Interface)
		}
	}
	// Steps without a device, such as a GUE port, go to the first one.
	deviceOf := func(s Step) string {
		if s.Interface != "" {
			return s.Interface
		}
		return devices[max(0, slices.IndexFunc(devices, func(d string) bool { return strings.HasPrefix(s.Key, conf(d, "")) }))]
	}
	var b strings.Builder
	for _, d := range devices {
		fmt.Fprintf(&b, "auto %s\niface %s inet manual\n", d, d)
		var undo []string
		for _, s := range steps {
			if deviceOf(s) != d {
				continue
			}
			when := "up"
			if s.Action == LoadModule {
				when = "pre-up"
			}
			fmt.Fprintf(&b, "\t%s %s\n", when, s.idempotent())
			if back, possible := s.Undo(); possible && (s.Action == AddAddress || s.Action == AddRoute) {
				undo = append(undo, fmt.Sprintf("\tdown %s || true\n", back.Command()))
			}
		}
		slices.Reverse(undo)
		b.WriteString(strings.Join(undo, "") + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
