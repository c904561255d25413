package realserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/rtnetlink"
	"github.com/lvs-ha/lvs-ha/internal/sysctl"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelTimeout is how long the kernel may take to answer one request.
const kernelTimeout = 5 * time.Second

// Linux is the System of this machine, in the calling thread's network namespace.
type Linux struct{}

var _ System = Linux{}

// Observe reads what there is.
func (Linux) Observe(ctx context.Context) (Observed, error) {
	h, err := rtnetlink.Open(rtnetlink.Timeout)
	if err != nil {
		return Observed{}, err
	}
	defer h.Close()
	o := Observed{Sysctls: map[string]string{}}
	names, err := observeLinks(h, &o)
	if err != nil {
		return Observed{}, err
	}
	if err := observeAddresses(h, names, &o); err != nil {
		return Observed{}, err
	}
	if err := observeRoutes(h, names, &o); err != nil {
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

func observeLinks(h *netlink.Handle, o *Observed) (map[int]string, error) {
	links, err := rtnetlink.List("network devices", h.LinkList)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		link := Link{
			Name: a.Name, Up: a.Flags&net.FlagUp != 0,
			Loopback: a.RawFlags&unix.IFF_LOOPBACK != 0, NoARP: a.RawFlags&unix.IFF_NOARP != 0,
		}
		if t, ok := l.(*netlink.Ip6tnl); ok {
			link.Any = t.Proto == 0
		}
		o.Links = append(o.Links, link)
	}
	return names, nil
}

func observeAddresses(h *netlink.Handle, names map[int]string, o *Observed) error {
	addresses, err := rtnetlink.List("addresses", func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if p, ok := rtnetlink.Prefix(a.IPNet); ok {
			o.Addresses = append(o.Addresses, Address{Interface: names[a.LinkIndex], Prefix: p})
		}
	}
	proxied, err := rtnetlink.List("neighbour proxies", func() ([]netlink.Neigh, error) { return h.NeighProxyList(0, netlink.FAMILY_V6) })
	if err != nil {
		return err
	}
	for _, n := range proxied {
		if a, ok := netip.AddrFromSlice(n.IP); ok {
			o.Proxied = append(o.Proxied, Proxy{Interface: names[n.LinkIndex], Address: a.Unmap()})
		}
	}
	return nil
}

func observeRoutes(h *netlink.Handle, names map[int]string, o *Observed) error {
	routes, err := rtnetlink.List("routes", func() ([]netlink.Route, error) {
		return h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(routes, func(a, b netlink.Route) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range routes {
		if r.Type != unix.RTN_UNICAST {
			continue
		}
		dst, ok := rtnetlink.Prefix(r.Dst)
		switch {
		case !ok || dst.Bits() == 0:
			o.Defaults = append(o.Defaults, defaultOf(r, names))
		case dst.IsSingleIP():
			o.Routes = append(o.Routes, Route{Interface: names[r.LinkIndex], Destination: dst.Addr()})
		}
	}
	return nil
}

func defaultOf(r netlink.Route, names map[int]string) Default {
	d := Default{IPv6: r.Family == netlink.FAMILY_V6, Interface: names[r.LinkIndex]}
	gateway := r.Gw
	if gateway == nil && len(r.MultiPath) > 0 {
		gateway, d.Interface = r.MultiPath[0].Gw, names[r.MultiPath[0].LinkIndex]
	}
	if a, ok := netip.AddrFromSlice(gateway); ok {
		d.Gateway = a.Unmap()
	}
	return d
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

// Do takes a step. A step that has been taken already is no error.
func (Linux) Do(ctx context.Context, s Step) error {
	switch s.Action {
	case LoadModule:
		return command(ctx, "modprobe", s.Module)
	case TakeAny:
		return command(ctx, "ip", "-6", "tunnel", "change", s.Interface, "mode", "any")
	case TakeIPv6:
		return command(ctx, "ip", "-6", "tunnel", "change", s.Interface, "mode", "ip6ip6")
	case AddFOU, RemoveFOU:
		return mended(changeFOU(ctx, s))
	case SetSysctl:
		return sysctl.System.Write(s.Key, s.Value)
	}
	h, err := rtnetlink.Open(rtnetlink.Timeout)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(s.Interface)
	if err != nil {
		return fmt.Errorf("find device %s: %w", s.Interface, err)
	}
	return mended(change(h, link, s))
}

func change(h *netlink.Handle, link netlink.Link, s Step) error {
	address := &netlink.Addr{IPNet: hostNet(s.Address)}
	if s.Address.Is6() {
		// Deprecated, so that this machine's own connections never start from the virtual address.
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
		return unless(h.AddrDel(link, address), unix.EADDRNOTAVAIL)
	case AddRoute:
		return h.RouteReplace(route)
	case RemoveRoute:
		return unless(h.RouteDel(route), unix.ESRCH)
	}
	return fmt.Errorf("unknown step %q", s.Action)
}

func hostNet(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

func unless(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// mended adds to a refusal what would mend it.
func mended(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("CAP_NET_ADMIN is missing: run it as root: %w", err)
	}
	return err
}

func command(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*kernelTimeout)
	defer cancel()
	path, err := exec.LookPath(name)
	if err != nil {
		// A plain user's PATH does not have the administrator's programs.
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
