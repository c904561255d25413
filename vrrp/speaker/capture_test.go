package speaker

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// seen is a captured frame related to VRRP, with the kernel's time of its arrival.
type seen struct {
	at      time.Time
	mac     string
	advert  *vrrp.Advert
	ttl     uint8
	from    netip.Addr
	arpOp   uint16 // gratuitous ARP: 1 request, 2 reply
	announc netip.Addr
	na      *ndp.NeighborAdvertisement
}

// capture records the frames that an interface receives.
type capture struct {
	mu     sync.Mutex
	frames []seen
	echoes []echo
	news   chan struct{} // closed and replaced with each frame
}

func startCapture(t testing.TB, h *lab.Node, iface string) *capture {
	t.Helper()
	link, err := h.Link(iface)
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	if err := h.Do(func() error {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(htons(unix.ETH_P_ALL))); err != nil {
			return err
		}
		for _, o := range []int{unix.SO_TIMESTAMPNS, unix.SO_RCVBUFFORCE} {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 8<<20); err != nil {
				return err
			}
		}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(link.Attrs().Index), Type: unix.PACKET_MR_PROMISC}); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: link.Attrs().Index})
	}); err != nil {
		t.Fatal(err)
	}
	c := &capture{news: make(chan struct{})}
	f := os.NewFile(uintptr(fd), "capture")
	done := make(chan struct{})
	go func() { defer close(done); c.read(f) }()
	t.Cleanup(func() { f.Close(); <-done })
	return c
}

func (c *capture) read(f *os.File) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	buf, oob := make([]byte, 9000), make([]byte, 256)
	for {
		var n, oobn int
		err := conn.Read(func(fd uintptr) bool {
			var rerr error
			n, oobn, _, _, rerr = unix.Recvmsg(int(fd), buf, oob, 0)
			return rerr != unix.EAGAIN
		})
		if err != nil || n <= 0 {
			return
		}
		at := timestamp(oob[:oobn])
		if request, seq, ok := decodeEcho(buf[:n]); ok {
			c.noteEcho(at, request, seq)
			continue
		}
		s, ok := decodeFrame(buf[:n])
		if !ok {
			continue
		}
		s.at = at
		c.mu.Lock()
		c.frames = append(c.frames, s)
		close(c.news)
		c.news = make(chan struct{})
		c.mu.Unlock()
	}
}

func timestamp(oob []byte) time.Time {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range msgs {
			if m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

func decodeFrame(b []byte) (seen, bool) {
	if len(b) < 14 {
		return seen{}, false
	}
	s := seen{mac: net.HardwareAddr(b[6:12]).String()}
	kind, p := binary.BigEndian.Uint16(b[12:]), b[14:]
	switch kind {
	case unix.ETH_P_ARP:
		if len(p) < 28 || string(p[14:18]) != string(p[24:28]) {
			return seen{}, false
		}
		s.arpOp, s.announc = binary.BigEndian.Uint16(p[6:]), netip.AddrFrom4([4]byte(p[14:18]))
		return s, true
	case unix.ETH_P_IP:
		if len(p) < 20 || p[9] != vrrp.Protocol {
			return seen{}, false
		}
		d := parseIPv4(p)
		s.ttl, s.from = d.TTL, d.From
		return s.withAdvert(d.Data, vrrp.Envelope{Family: vrrp.IPv4, Source: d.From, Destination: d.To})
	case unix.ETH_P_IPV6:
		if len(p) < 40 {
			return seen{}, false
		}
		s.ttl, s.from = p[7], netip.AddrFrom16([16]byte(p[8:24]))
		switch p[6] {
		case vrrp.Protocol:
			return s.withAdvert(p[40:], vrrp.Envelope{Family: vrrp.IPv6, Source: s.from, Destination: netip.AddrFrom16([16]byte(p[24:40]))})
		case unix.IPPROTO_ICMPV6:
			m, err := ndp.ParseMessage(p[40:])
			na, ok := m.(*ndp.NeighborAdvertisement)
			if err != nil || !ok || na.Solicited {
				return seen{}, false
			}
			s.na, s.announc = na, na.TargetAddress
			return s, true
		}
	}
	return seen{}, false
}

// decodeEcho recognizes a prober's packet.
func decodeEcho(b []byte) (request bool, seq uint16, ok bool) {
	var icmp []byte
	var ask, answer byte
	switch {
	case len(b) >= 42 && b[12] == 0x08 && b[13] == 0 && b[23] == unix.IPPROTO_ICMP:
		icmp, ask, answer = b[34:], 8, 0
	case len(b) >= 62 && b[12] == 0x86 && b[13] == 0xdd && b[20] == unix.IPPROTO_ICMPV6:
		icmp, ask, answer = b[54:], 128, 129
	default:
		return false, 0, false
	}
	if icmp[0] != ask && icmp[0] != answer || binary.BigEndian.Uint16(icmp[4:]) != probeID {
		return false, 0, false
	}
	return icmp[0] == ask, binary.BigEndian.Uint16(icmp[6:]), true
}

func (s seen) withAdvert(data []byte, e vrrp.Envelope) (seen, bool) {
	s.advert = &vrrp.Advert{}
	return s, vrrp.Parse(data, e, s.advert) == vrrp.NotDropped
}

// all returns the frames captured so far.
func (c *capture) all() []seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]seen(nil), c.frames...)
}

func (c *capture) at(i int) seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frames[i]
}

// mark returns the number of frames so far.
func (c *capture) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.frames)
}

// await waits for a matching frame after the mark.
func (c *capture) await(t testing.TB, mark int, what string, ok func(seen) bool) seen {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		news := c.news
		c.mu.Unlock()
		for ; mark < c.mark(); mark++ {
			if f := c.at(mark); ok(f) {
				return f
			}
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("not on the wire after %s: %s", patience, what)
		}
	}
}

// macOf returns the hardware address of a host's interface.
func macOf(t testing.TB, h *lab.Node, iface string) string {
	t.Helper()
	l, err := h.Link(iface)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().HardwareAddr.String()
}
