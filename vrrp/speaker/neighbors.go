package speaker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

const (
	probeInterval = 10 * time.Second // time between two probes for an address
	leastProbeGap = time.Second      // minimum time between two batches of probes: each wakes several threads
	maxProbes     = 50               // of a batch
	sniffBuffer   = 256 << 10

	// sniffPause is the time between two batches of packets, and sniffBusy the time after a full one: each batch wakes
	// several threads, and no packet of a flood is urgent.
	sniffPause = 20 * time.Millisecond
	sniffBusy  = 100 * time.Millisecond

	reportGap  = time.Second // minimum time between two identical reports
	maxReports = 256         // maximum number of different reports in that time
)

// sniffedAdvert is an advert for one of the watched routers, received by a packet socket.
type sniffedAdvert struct {
	key         routerKey
	source      netip.Addr
	destination netip.Addr
	priority    uint8
	hardware    net.HardwareAddr
}

// neighbors detects other hosts that have addresses of which this node is master. It listens for ARP, neighbour
// advertisements and adverts with packet sockets, and probes each address periodically. Without addresses to watch, its
// sockets receive nothing.
type neighbors struct {
	log        *slog.Logger
	lookup     func(name string) netInterface
	below      func(index int) int             // the interface that a macvlan is on
	owns       func(mac net.HardwareAddr) bool // reports whether an interface of this host has mac
	answered   func(key routerKey, a netip.Addr, mac net.HardwareAddr)
	advertised func(sniffedAdvert)
	wake       wakeup

	mu       sync.Mutex
	watched  map[routerKey][]placed
	queue    []probe // of this round
	probed   int     // of the queue
	reported map[any]bool
	cleared  time.Time // when reported was last cleared
}

// probe is an address of a router on an interface.
type probe struct {
	key    routerKey
	target placed
}

func newNeighbors(log *slog.Logger, lookup func(string) netInterface, owns func(net.HardwareAddr) bool) *neighbors {
	return &neighbors{
		log: log, lookup: lookup, owns: owns, below: func(index int) int { return index },
		wake: newWakeup(), watched: map[routerKey][]placed{}, reported: map[any]bool{}}
}

// watch replaces a router's addresses. An empty list ends the watch.
func (n *neighbors) watch(key routerKey, addresses []placed) {
	n.mu.Lock()
	_, was := n.watched[key]
	if len(addresses) > 0 {
		n.watched[key] = addresses
	} else {
		delete(n.watched, key)
	}
	n.mu.Unlock()
	if was || len(addresses) > 0 {
		n.wake.notify()
	}
}

// run runs until ctx ends. Without packet sockets, it detects nothing.
func (n *neighbors) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var all []*sniffer
	defer func() {
		for _, s := range all {
			s.file.Close()
		}
	}()
	for _, kind := range []struct {
		protocol uint16
		filter   []bpf.Instruction
		read     func(from frame, b []byte)
	}{
		{unix.ETH_P_ARP, refuseAll, n.readARP}, // see probe
		{unix.ETH_P_IP, sniffIPv4, n.readIPv4},
		{unix.ETH_P_IPV6, refuseAll, n.readIPv6}, // see probe
	} {
		s, err := openSniffer(kind.protocol, kind.filter, kind.read)
		if err != nil {
			level := slog.LevelWarn
			if errors.Is(err, unix.EPERM) {
				level = slog.LevelDebug // opening the advert sockets reports the same missing capability
			}
			n.log.Log(ctx, level, "other hosts with our virtual addresses cannot be detected", "error", err)
			return
		}
		all = append(all, s)
		wg.Go(s.run)
	}
	n.probe(ctx, all)
}

// probe sends the probes, and enables the sockets only while there are addresses to watch.
func (n *neighbors) probe(ctx context.Context, all []*sniffer) {
	timer := time.NewTimer(probeInterval)
	defer timer.Stop()
	listening := false
	for {
		due := false
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
			pause(ctx, sniffPause) // many routers may change together
			all[0].filter, all[2].filter = sniffARP(n.addresses(vrrp.IPv4)), sniffIPv6(n.addresses(vrrp.IPv6))
			if listening {
				n.listen(all[0], true)
				n.listen(all[2], true)
			}
		case <-timer.C:
			due = true
		}
		n.mu.Lock()
		count := 0
		for _, addresses := range n.watched {
			count += len(addresses)
		}
		n.mu.Unlock()
		if want := count > 0; want != listening {
			listening = want
			for _, s := range all {
				n.listen(s, want)
			}
			gap, _ := probePace(count)
			timer.Reset(gap)
			continue
		}
		if count == 0 || !due {
			continue
		}
		gap, probes := probePace(count)
		for range probes {
			if p, ok := n.next(); ok {
				n.ask(p, all)
			}
		}
		timer.Reset(gap)
	}
}

// probePace returns the time between two batches of probes for a number of addresses, and the number of probes in each.
func probePace(addresses int) (gap time.Duration, probes int) {
	gap = max(probeInterval/time.Duration(max(addresses, 1)), leastProbeGap)
	return gap, min(int((time.Duration(addresses)*gap+probeInterval-1)/probeInterval), maxProbes)
}

func (n *neighbors) listen(s *sniffer, on bool) {
	if err := s.listen(on); err != nil {
		n.log.Warn("cannot watch for address conflicts", "error", err)
	}
}

// addresses returns the watched addresses of a family.
func (n *neighbors) addresses(f vrrp.Family) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []netip.Addr
	for key, addresses := range n.watched {
		for _, t := range addresses {
			if key.Family == f {
				list = append(list, t.Prefix.Addr())
			}
		}
	}
	return list
}

// next returns the next probe of a round over all addresses.
func (n *neighbors) next() (probe, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.probed == len(n.queue) {
		n.queue, n.probed = n.queue[:0], 0
		for key, addresses := range n.watched {
			for _, a := range addresses {
				n.queue = append(n.queue, probe{key, a})
			}
		}
	}
	for n.probed < len(n.queue) {
		p := n.queue[n.probed]
		n.probed++
		if slices.Contains(n.watched[p.key], p.target) {
			return p, true
		}
	}
	return probe{}, false
}

// ask sends a probe, unless the interface is missing or down.
func (n *neighbors) ask(p probe, all []*sniffer) {
	ifc := n.lookup(p.target.Interface)
	if !ifc.Up || ifc.NoARP {
		return
	}
	var err error
	if a := p.target.Prefix.Addr(); a.Is4() {
		err = all[0].send(ifc.Index, ethernet.Broadcast, arpProbe(ifc.Hardware, a))
	} else {
		from := n.sourceFor(ifc)
		if !from.IsValid() {
			return
		}
		err = all[2].send(ifc.Index, solicitedHardware(a), neighborProbe(ifc.Hardware, from, a))
	}
	if err != nil {
		n.log.Debug("probe not sent", "interface", ifc.Name, "address", p.target.Prefix.Addr(), "error", err)
	}
}

// arpProbe returns an ARP probe for an address. It has no sender address (RFC 5227, 2.1.1), so it changes no ARP cache.
func arpProbe(mac net.HardwareAddr, a netip.Addr) []byte {
	p, err := arp.NewPacket(arp.OperationRequest, mac, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), a)
	if err != nil {
		return nil
	}
	b, _ := p.MarshalBinary()
	return b
}

// solicited returns the solicited-node multicast address of an address (RFC 4291, 2.7.1).
func solicited(a netip.Addr) netip.Addr {
	b := netip.MustParseAddr("ff02::1:ff00:0").As16()
	low := a.As16()
	copy(b[13:], low[13:])
	return netip.AddrFrom16(b)
}

func solicitedHardware(a netip.Addr) net.HardwareAddr {
	b := solicited(a).As16()
	return net.HardwareAddr{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// sourceFor returns an IPv6 address of an interface that is not itself watched, or the invalid address if there is none.
func (n *neighbors) sourceFor(ifc netInterface) netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range ifc.Addresses {
		if addr := a.Prefix.Addr(); addr.Is6() && a.Usable && !n.watches(addr, ifc.Name) {
			return addr
		}
	}
	return netip.Addr{}
}

func (n *neighbors) watches(a netip.Addr, iface string) bool {
	a = vrrp.OnLink(a, iface)
	for _, addresses := range n.watched {
		if slices.ContainsFunc(addresses, func(p placed) bool { return vrrp.OnLink(p.Prefix.Addr(), p.Interface) == a }) {
			return true
		}
	}
	return false
}

// neighborProbe returns a complete IPv6 packet with a neighbour solicitation (RFC 4861, 4.3). Its source is an address of
// this host, so that another holder answers only this host. A solicitation without a source, as in duplicate address
// detection, is answered to all nodes, which would then take the other holder for the master.
func neighborProbe(mac net.HardwareAddr, from, a netip.Addr) []byte {
	to := solicited(a)
	payload, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{
		TargetAddress: a, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}},
	}, from, to)
	if err != nil {
		return nil
	}
	b := appendIPv6Header(nil, ipv6Header{next: unix.IPPROTO_ICMPV6, length: len(payload), from: from, to: to})
	return append(b, payload...)
}

const (
	ipv6HeaderLen   = 40
	arpSenderAt     = 14 // the sender's IPv4 address (RFC 826)
	ipv6NextHeader  = 6
	neighborAdvert  = 136 // ICMPv6 type
	neighborAdvLen  = 24  // without options
	neighborAdvToAt = 8   // the target
)

// readARP looks for other hosts that claim one of the addresses.
func (n *neighbors) readARP(from frame, b []byte) {
	var p arp.Packet
	if err := p.UnmarshalBinary(b); err == nil && p.ProtocolType == uint16(ethernet.EtherTypeIPv4) {
		from.mac = p.SenderHardwareAddr
		n.claim(from, p.SenderIP)
	}
}

func (n *neighbors) readIPv4(from frame, b []byte) {
	if d := parseIPv4(b); !d.Truncated {
		n.advert(from, vrrp.IPv4, d.From, d.To, d.Data)
	}
}

func (n *neighbors) readIPv6(from frame, b []byte) {
	if len(b) < ipv6HeaderLen {
		return
	}
	payload := b[ipv6HeaderLen:]
	if b[ipv6NextHeader] == vrrp.Protocol {
		n.advert(from, vrrp.IPv6, netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), payload)
		return
	}
	if len(payload) >= neighborAdvLen && payload[0] == neighborAdvert {
		n.claim(from, netip.AddrFrom16([16]byte(payload[neighborAdvToAt:])))
	}
}

// claim reports a host that claims one of the addresses, unless it is this host: with two interfaces on the same network,
// Linux answers ARP for all its addresses on both (ip-sysctl.rst, arp_ignore).
//
// Another host may have the same virtual MAC address as this one. It is recognized by its answer to a probe, which this
// host sends from the MAC address of the interface; our own announcements may come back.
func (n *neighbors) claim(from frame, a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, addresses := range n.watched {
		for _, t := range addresses {
			if t.Prefix.Addr() != a {
				continue
			}
			ifc := n.lookup(t.Interface)
			own := n.owns(from.mac) && !(from.toHost && isVirtualMAC(from.mac))
			if ifc.Index == from.index && !own && n.report(probe{key, t}, from.mac) {
				n.answered(key, a, slices.Clone(from.mac))
			}
		}
	}
}

// advert reports an advert for a watched router, unless this host sent it. Another host may have the same virtual MAC
// address; its frames arrive on the macvlan, and the engine compares the source addresses.
func (n *neighbors) advert(from frame, f vrrp.Family, source, destination netip.Addr, b []byte) {
	if len(b) < 3 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	index := n.below(from.index)
	for key := range n.watched {
		if key.Family != f || key.VirtualRouterID != b[1] {
			continue
		}
		own := n.owns(from.mac) && !isVirtualMAC(from.mac)
		if ifc := n.lookup(key.Interface); ifc.Index == index && !own && n.report(probe{key: key}, from.mac) {
			n.advertised(sniffedAdvert{key: key, source: source, destination: destination, priority: b[2], hardware: slices.Clone(from.mac)})
		}
	}
}

// report reports whether the event is to be reported: the same one at most once per reportGap.
func (n *neighbors) report(what probe, mac net.HardwareAddr) bool {
	type report struct {
		probe
		mac string
	}
	if now := time.Now(); now.Sub(n.cleared) >= reportGap {
		n.cleared = now
		clear(n.reported)
	}
	r := report{what, string(mac)}
	if n.reported[r] || len(n.reported) == maxReports {
		return false
	}
	n.reported[r] = true
	return true
}
