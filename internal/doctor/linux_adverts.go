package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/lvs-ha/lvs-ha/config"
	"github.com/lvs-ha/lvs-ha/vrrp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	listenIntervals = 3
	listenSlack     = 200 * time.Millisecond
	listenMost      = 10 * time.Second
	maxAdverts      = 10_000 // kept for one interface: bounds memory during a flood
)

// ListenTime returns how long Observe listens for adverts.
func ListenTime(cfg *config.Config) time.Duration {
	var longest time.Duration
	for _, v := range cfg.VRRP {
		longest = max(longest, listenFor(v.Instance))
	}
	return longest
}

func listenFor(in vrrp.Instance) time.Duration {
	return min(listenIntervals*in.AdvertiseInterval+listenSlack, listenMost)
}

// listener is a socket for the adverts of a family and multicast group on an interface.
type listener struct {
	iface  string
	family vrrp.Family
	group  netip.Addr
}

// observeAdverts listens on the interfaces of all VRRP instances.
func observeAdverts(ctx context.Context, cfg *config.Config, o *Observed) error {
	listeners := map[listener]time.Duration{}
	for _, v := range cfg.VRRP {
		l := listener{v.Interface, v.Family, v.Multicast()}
		listeners[l] = max(listeners[l], listenFor(v.Instance))
	}
	o.Listened = map[string]time.Duration{}
	var mu sync.Mutex
	var group sync.WaitGroup
	var errs []error
	for l, long := range listeners {
		group.Go(func() {
			heard, err := l.listen(ctx, long)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("listen for adverts on %s: %w", l.iface, err))
				return
			}
			o.Adverts = append(o.Adverts, heard...)
			o.Listened[l.iface] = max(o.Listened[l.iface], long)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (l listener) listen(ctx context.Context, long time.Duration) ([]Advert, error) {
	ifi, err := net.InterfaceByName(l.iface)
	if err != nil {
		return nil, errors.New("no such interface")
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), ifi.Name) }); e != nil {
			return e
		}
		return err
	}}
	network, local := "ip4:112", "0.0.0.0"
	if l.family == vrrp.IPv6 {
		network, local = "ip6:112", "::"
	}
	conn, err := config.ListenPacket(ctx, network, local)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, errors.New("missing capability CAP_NET_RAW")
		}
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	if err := conn.SetReadDeadline(time.Now().Add(long)); err != nil {
		return nil, err
	}
	read, err := l.join(conn, ifi)
	if err != nil {
		return nil, err
	}
	var heard []Advert
	buf := make([]byte, vrrp.MaxPacketLen+1)
	for len(heard) < maxAdverts {
		n, envelope, err := read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return nil, err
		}
		a := Advert{Interface: l.iface, Source: envelope.Source, Envelope: envelope}
		a.Dropped = vrrp.Parse(buf[:n], envelope, &a.Advert)
		heard = append(heard, a)
	}
	return heard, nil
}

// join joins the multicast group and returns a function that reads one packet.
func (l listener) join(conn net.PacketConn, ifi *net.Interface) (func([]byte) (int, vrrp.Envelope, error), error) {
	group := &net.IPAddr{IP: l.group.AsSlice()}
	if l.family == vrrp.IPv6 {
		p := ipv6.NewPacketConn(conn)
		err := errors.Join(p.JoinGroup(ifi, group), p.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagDst, true))
		return func(b []byte) (int, vrrp.Envelope, error) {
			n, cm, from, err := p.ReadFrom(b)
			v := vrrp.Envelope{Family: l.family, Source: addressOf(from)}
			if cm != nil {
				v.HopLimit, v.Destination = uint8(cm.HopLimit), ipOf(cm.Dst)
			}
			return n, v, err
		}, err
	}
	p := ipv4.NewPacketConn(conn)
	err := errors.Join(p.JoinGroup(ifi, group), p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true))
	return func(b []byte) (int, vrrp.Envelope, error) {
		n, cm, from, err := p.ReadFrom(b)
		v := vrrp.Envelope{Family: l.family, Source: addressOf(from)}
		if cm != nil {
			v.HopLimit, v.Destination = uint8(cm.TTL), ipOf(cm.Dst)
		}
		return n, v, err
	}, err
}

func addressOf(a net.Addr) netip.Addr {
	ip, ok := a.(*net.IPAddr)
	if !ok {
		return netip.Addr{}
	}
	return ipOf(ip.IP)
}

func ipOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
