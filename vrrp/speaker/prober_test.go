package speaker

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// prober sends an echo request to an address every millisecond. The capture determines which are answered, by the kernel's
// timestamps: on a busy host the test's own clock readings would be late.
type prober struct {
	conn    *icmp.PacketConn
	to      *net.IPAddr
	kind    icmp.Type
	capture *capture
	stop    chan struct{}
	wg      sync.WaitGroup
}

const (
	probeID = 77

	// lateReply is the time after which a reply does not count: an old master may have queued it for the new one.
	lateReply = 50 * time.Millisecond
)

// echo is a request, with the time of its reply if there was one.
type echo struct{ sent, back time.Time }

func (e echo) good() bool { return !e.back.IsZero() && e.back.Sub(e.sent) < lateReply }

func startProber(t testing.TB, h *lab.Node, c *capture, to netip.Addr) *prober {
	t.Helper()
	p := &prober{to: &net.IPAddr{IP: to.AsSlice()}, capture: c, kind: ipv4.ICMPTypeEcho, stop: make(chan struct{})}
	network, local := "ip4:icmp", "0.0.0.0"
	if to.Is6() {
		network, local, p.kind = "ip6:ipv6-icmp", "::", ipv6.ICMPTypeEchoRequest
	}
	if err := h.Do(func() (err error) {
		p.conn, err = icmp.ListenPacket(network, local)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.send)
	t.Cleanup(p.close)
	return p
}

func (p *prober) close() {
	close(p.stop)
	p.wg.Wait()
	p.conn.Close()
}

func (p *prober) send() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for seq := 0; ; seq++ {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		m := icmp.Message{Type: p.kind, Body: &icmp.Echo{ID: probeID, Seq: seq, Data: make([]byte, 8)}}
		b, err := m.Marshal(nil)
		if err == nil {
			_, _ = p.conn.WriteTo(b, p.to)
		}
	}
}

// awaitMore waits until n more requests are answered.
func (p *prober) awaitMore(t testing.TB, n int) {
	t.Helper()
	_, _, have := p.capture.probes()
	eventually(t, fmt.Sprintf("%d more answers", n), func() bool {
		_, _, answered := p.capture.probes()
		return answered >= have+n
	})
}

// probes returns the requests since the first answer that were not answered in time, without the newest.
func (c *capture) probes() (lost []echo, of, answered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest := time.Now().Add(-2 * lateReply)
	for _, e := range c.echoes {
		if e.good() {
			answered++
		}
		if e.sent.After(newest) || answered == 0 {
			continue
		}
		of++
		if !e.good() {
			lost = append(lost, e)
		}
	}
	return lost, of, answered
}

// noteEcho records a probe's packet.
func (c *capture) noteEcho(at time.Time, request bool, seq uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if request {
		// Sequence numbers start at 0 and are sent in order. One that is missing was not sent, and is lost.
		for missing := seq - uint16(len(c.echoes)); missing < 1<<15; missing-- {
			c.echoes = append(c.echoes, echo{sent: at})
		}
		return
	}
	i := len(c.echoes)&^0xffff + int(seq)
	if i >= len(c.echoes) {
		i -= 1 << 16
	}
	if i >= 0 && c.echoes[i].back.IsZero() {
		c.echoes[i].back = at
	}
}
