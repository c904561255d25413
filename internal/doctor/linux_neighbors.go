package doctor

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/lvs-ha/lvs-ha/internal/host"
	"github.com/vishvananda/netlink"
)

const (
	discardPort = 9 // RFC 863

	// The kernel asks three times, a second apart (mcast_solicit, retrans_time_ms).
	neighborTimeout = 3500 * time.Millisecond
	neighborPause   = 50 * time.Millisecond
)

// onLink reports whether the server is in a network of this machine, where it answers ARP or neighbour discovery.
func onLink(r host.Route) bool { return !r.Local && !r.Gateway.IsValid() }

// askNeighbors sends each real server an empty datagram, so that the kernel asks for it by ARP or neighbour discovery:
// a service without health checks gives no other cause to, and what the kernel knew may be old.
func askNeighbors(ctx context.Context, o *Observed) {
	for a, route := range o.Routes {
		if !onLink(route) {
			continue
		}
		conn, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(a, discardPort).String())
		if err != nil {
			continue
		}
		// Whether it was sent shows in the neighbour table.
		_, _ = conn.Write(nil)
		_ = conn.Close()
	}
}

// seeNeighbors finds the real servers on this machine's networks that do not answer, as soon as the kernel knows.
func seeNeighbors(ctx context.Context, h *netlink.Handle, o *Observed) error {
	deadline := time.After(neighborTimeout)
	for {
		neighbors, err := host.List("neighbours", func() ([]netlink.Neigh, error) { return h.NeighList(0, netlink.FAMILY_ALL) })
		if err != nil {
			return err
		}
		asking := false
		o.Neighbors = map[netip.Addr]bool{}
		for _, n := range neighbors {
			a, _ := netip.AddrFromSlice(n.IP)
			route, wanted := o.Routes[a.Unmap()]
			if wanted && route.Interface == o.Links.NameOf(n.LinkIndex) && n.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE) != 0 {
				o.Neighbors[a.Unmap()] = true
				asking = asking || n.State&netlink.NUD_INCOMPLETE != 0
			}
		}
		if !asking {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-deadline:
			return nil
		case <-time.After(neighborPause):
		}
	}
}
