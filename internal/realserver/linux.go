package realserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelTimeout limits one request to the kernel.
const kernelTimeout = 5 * time.Second

// Linux is the System of this host, in the calling thread's network namespace.
type Linux struct{}

var _ System = Linux{}

// Observe reads the host's current state.
func (Linux) Observe(ctx context.Context) (Observed, error) {
	h, err := host.Open(host.Timeout)
	if err != nil {
		return Observed{}, err
	}
	defer h.Close()
	state, err := host.Read(h)
	if err != nil {
		return Observed{}, err
	}
	o := Observed{Links: state.Links, Addresses: state.Addresses, Sysctls: map[string]string{}}
	for _, r := range state.Routes {
		if r.Default() || r.Destination.IsSingleIP() {
			o.Routes = append(o.Routes, r)
		}
	}
	if o.Proxied, err = proxies(h, state.Links); err != nil {
		return Observed{}, err
	}
	if o.FOU, err = fouPorts(ctx); err != nil {
		return Observed{}, err
	}
	if o.Sockets, err = listeners(); err != nil {
		return Observed{}, err
	}
	return o, observeSysctls(&o)
}

func proxies(h *netlink.Handle, links host.Links) ([]Proxy, error) {
	neighbors, err := host.List("neighbour proxies", func() ([]netlink.Neigh, error) { return h.NeighProxyList(0, netlink.FAMILY_V6) })
	var out []Proxy
	for _, n := range neighbors {
		if a, ok := netip.AddrFromSlice(n.IP); ok {
			out = append(out, Proxy{Interface: links.NameOf(n.LinkIndex), Address: a.Unmap()})
		}
	}
	return out, err
}

func observeSysctls(o *Observed) error {
	for _, name := range []string{"ipv4.conf.*.arp_ignore", "ipv4.conf.*.arp_announce", "ipv4.conf.*.rp_filter", "ipv6.conf.*.disable_ipv6"} {
		keys, err := sysctl.System.Glob("net." + name)
		if err != nil {
			return err
		}
		for _, key := range keys {
			v, err := sysctl.System.Read(key)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			o.Sysctls[key] = v
		}
	}
	return nil
}

// Do executes a step. It is not an error if the step has already been done.
func (Linux) Do(ctx context.Context, s Step) error {
	switch s.Action {
	case LoadModule:
		return command(ctx, "modprobe", s.Module)
	case TakeAny:
		return command(ctx, "ip", "-6", "tunnel", "change", s.Interface, "mode", "any")
	case TakeIPv6:
		return command(ctx, "ip", "-6", "tunnel", "change", s.Interface, "mode", "ip6ip6")
	case AddFOU, RemoveFOU:
		return explainPermission(changeFOU(ctx, s))
	case SetSysctl:
		return sysctl.System.Write(s.Key, s.Value)
	}
	h, err := host.Open(host.Timeout)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(s.Interface)
	if err != nil {
		return fmt.Errorf("find device %s: %w", s.Interface, err)
	}
	return explainPermission(change(h, link, s))
}

func change(h *netlink.Handle, link netlink.Link, s Step) error {
	address := &netlink.Addr{IPNet: hostNet(s.Address)}
	if s.Address.Is6() {
		// Deprecated, so that this host's own connections do not use the virtual address as source.
		address.Flags, address.ValidLft = unix.IFA_F_NODAD, math.MaxUint32
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: address.IPNet, Scope: netlink.SCOPE_LINK}
	switch s.Action {
	case SetUp:
		return h.LinkSetUp(link)
	case SetDown:
		return h.LinkSetDown(link)
	case AddAddress:
		return h.AddrReplace(link, address)
	case RemoveAddress:
		return ignore(h.AddrDel(link, address), unix.EADDRNOTAVAIL)
	case AddRoute:
		return h.RouteReplace(route)
	case RemoveRoute:
		return ignore(h.RouteDel(route), unix.ESRCH)
	}
	return fmt.Errorf("unknown step %q", s.Action)
}

func hostNet(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// explainPermission adds the missing capability to a permission error.
func explainPermission(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("CAP_NET_ADMIN is missing: run as root: %w", err)
	}
	return err
}

func command(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*kernelTimeout)
	defer cancel()
	path, err := exec.LookPath(name)
	if err != nil {
		// An unprivileged user's PATH lacks /sbin.
		path = "/sbin/" + name
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
