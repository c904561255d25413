package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// mountAll mounts this kernel's own file systems over those of the host.
func mountAll() error {
	for _, m := range []struct {
		target, fstype, data string
	}{
		{"/proc", "proc", ""},
		{"/sys", "sysfs", ""},
		{"/run", "tmpfs", "mode=755"},
		{"/dev/pts", "devpts", ""},
		{"/dev/shm", "tmpfs", "mode=1777"},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.fstype, m.target, m.fstype, 0, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.target, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, filepath.Join("/dev", name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// setHosts gives this kernel the hosts file of a new Debian machine instead of the host's.
func setHosts(hostname string) error {
	const path, own = "/etc/hosts", "/run/hosts"
	text := "127.0.0.1 localhost\n127.0.1.1 " + hostname + "\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"
	if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(own, path, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("mount %s on %s: %w", own, path, err)
	}
	return nil
}

func setUp(s *guest.Spec) error {
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("set hostname %s: %w", s.Hostname, err)
	}
	if err := setHosts(s.Hostname); err != nil {
		return err
	}
	if err := loadModules(s.Modules); err != nil {
		return err
	}
	// Addresses are usable immediately (no duplicate address detection); asymmetric routes are allowed.
	defaults := map[string]string{
		"net.ipv6.conf.all.accept_dad": "0", "net.ipv6.conf.default.accept_dad": "0",
		"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.default.rp_filter": "0",
	}
	for key, value := range defaults {
		if err := sysctl(key, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := setUpLink("lo", "lo", 0, nil); err != nil {
		return err
	}
	for _, nic := range s.NICs {
		if err := setUpLink(nic.Device, nic.Name, nic.MTU, nic.Addresses); err != nil {
			return err
		}
	}
	for _, r := range s.Routes {
		if err := addRoute(r); err != nil {
			return err
		}
	}
	for key, value := range s.Sysctls {
		if err := sysctl(key, value); err != nil {
			return err
		}
	}
	return nil
}

func loadModules(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var stderr bytes.Buffer
	cmd := exec.Command("modprobe", append([]string{"-a"}, names...)...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("load modules: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

func sysctl(key, value string) error {
	path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("set sysctl %s: %w", key, err)
	}
	return nil
}

func setUpLink(device, name string, mtu int, addresses []netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find network card %s: %w", device, err)
	}
	if device != name {
		err = netlink.LinkSetName(link, name)
	}
	if err == nil && mtu != 0 {
		err = netlink.LinkSetMTU(link, mtu)
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	for _, p := range addresses {
		if err == nil {
			err = netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(p), Flags: nodad(p.Addr())})
		}
	}
	if err != nil {
		return fmt.Errorf("set up network card %s: %w", name, err)
	}
	return nil
}

func nodad(a netip.Addr) int {
	if a.Is6() {
		return unix.IFA_F_NODAD
	}
	return 0
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func addRoute(r guest.Route) error {
	route := &netlink.Route{Gw: r.Via.AsSlice()}
	if r.Destination.IsValid() {
		route.Dst = ipNet(r.Destination)
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("add route to %v via %v: %w", r.Destination, r.Via, err)
	}
	return nil
}
