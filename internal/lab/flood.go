package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Forged is a VRRPv3 advert over IPv4 from an attacker. It is not built by the codec under test, which refuses to build
// most of these.
type Forged struct {
	Source          netip.Addr
	Destination     netip.Addr // 224.0.0.18 if unset
	VirtualRouterID uint8
	Priority        uint8
	Interval        time.Duration // in steps of 10 ms
	TTL             uint8         // 255 if 0
	Addresses       []netip.Addr
	BadChecksum     bool
}

// Packet returns the advert with its IPv4 header.
func (f Forged) Packet() []byte {
	if !f.Destination.IsValid() {
		f.Destination = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
	if f.TTL == 0 {
		f.TTL = 255
	}
	// RFC 9568, 5.1 and 5.2: version and type, VRID, priority, count, interval, checksum, addresses.
	advert := []byte{3<<4 | 1, f.VirtualRouterID, f.Priority, byte(len(f.Addresses))}
	advert = binary.BigEndian.AppendUint16(advert, uint16(f.Interval/(10*time.Millisecond)))
	advert = append(advert, 0, 0)
	for _, a := range f.Addresses {
		advert = append(advert, a.AsSlice()...)
	}
	pseudo := append(f.Source.AsSlice(), f.Destination.AsSlice()...)
	pseudo = append(pseudo, 0, ProtocolVRRP, 0, byte(len(advert)))
	sum := internetChecksum(append(pseudo, advert...))
	if f.BadChecksum {
		sum++
	}
	binary.BigEndian.PutUint16(advert[6:], sum)

	header := make([]byte, 20) // the kernel fills in identification and checksum
	header[0], header[1] = 4<<4|5, 0xc0
	binary.BigEndian.PutUint16(header[2:], uint16(len(header)+len(advert)))
	header[8], header[9] = f.TTL, ProtocolVRRP
	copy(header[12:], f.Source.AsSlice())
	copy(header[16:], f.Destination.AsSlice())
	return append(header, advert...)
}

// internetChecksum is the checksum of RFC 1071.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Garbage returns packets from a hostile neighbour that may cost time but must have no effect: priority 0 for an unknown
// router, a wrong TTL, a bad checksum, and the lowest priority with changing address lists. It does not include priority
// 0 for the router itself: a backup must react to that by taking over (RFC 9568, 6.4.2).
func Garbage(source netip.Addr, virtualRouterID uint8, address netip.Addr, interval time.Duration) [][]byte {
	base := Forged{
		Source: source, VirtualRouterID: virtualRouterID, Priority: 1, Interval: interval, Addresses: []netip.Addr{address},
	}
	unknown, far, broken, odd, long := base, base, base, base, base
	unknown.VirtualRouterID, unknown.Priority = 255-virtualRouterID, 0
	far.TTL = 3
	broken.BadChecksum = true
	odd.Addresses = []netip.Addr{address.Next()}
	long.Addresses = []netip.Addr{address, address.Next(), address.Next().Next()}
	var out [][]byte
	for _, f := range []Forged{unknown, far, broken, base, odd, long} {
		out = append(out, f.Packet())
	}
	return out
}

// Flood sends packets at a fixed rate until it is stopped.
type Flood struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	sent int
	err  error
}

// Flood starts to send IPv4 packets with headers from an interface of the host, in turn, at a total rate per second.
func (h *Node) Flood(ctx context.Context, iface string, perSecond int, packets [][]byte) (*Flood, error) {
	fd, err := h.floodSocket(iface)
	if err != nil {
		return nil, fmt.Errorf("flood from %s of host %s: %w", iface, h.name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &Flood{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		defer unix.Close(fd)
		f.run(ctx, fd, perSecond, packets)
	}()
	return f, h.lab.onClose(func() error { f.Stop(); return nil })
}

func (h *Node) floodSocket(iface string) (int, error) {
	link, err := h.Link(iface)
	if err != nil {
		return -1, err
	}
	var fd int
	err = h.Do(func() error {
		// IPPROTO_RAW: the packets include their IP headers (raw(7)).
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(link.Attrs().Index)}),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20),
	)
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// run sends the due packets every millisecond. Packets that could not be sent in time are not sent later.
func (f *Flood) run(ctx context.Context, fd, perSecond int, packets [][]byte) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	due := 0.0
	for n := 0; ctx.Err() == nil; {
		now := time.Now()
		due = min(due+now.Sub(last).Seconds()*float64(perSecond), float64(perSecond)/20)
		for last = now; due >= 1; due-- {
			p := packets[n%len(packets)]
			n++
			f.note(unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (f *Flood) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.err = err
		return
	}
	f.sent++
}

// Stop ends the flood and returns the number of sent packets and the last error.
func (f *Flood) Stop() (int, error) {
	f.cancel()
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent, f.err
}
