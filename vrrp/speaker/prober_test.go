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

// prober sends an echo request to an address every millisecond and notes which are answered.
type prober struct {
	conn    *icmp.PacketConn
	to      *net.IPAddr
	request icmp.Type
	reply   icmp.Type
	proto   int

	mu   sync.Mutex
	sent []time.Time
	back []time.Time

	stop chan struct{}
	wg   sync.WaitGroup
}

// lateReply is when a reply is too late to count: an old master may have queued it for the new one.
const lateReply = 50 * time.Millisecond

func startProber(t testing.TB, h *lab.Node, to netip.Addr) *prober {
	t.Helper()
	p := &prober{to: &net.IPAddr{IP: to.AsSlice()}, stop: make(chan struct{})}
	network, any := "ip4:icmp", "0.0.0.0"
	p.request, p.reply, p.proto = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, 1
	if to.Is6() {
		network, any = "ip6:ipv6-icmp", "::"
		p.request, p.reply, p.proto = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, 58
	}
	if err := h.Do(func() (err error) {
		p.conn, err = icmp.ListenPacket(network, any)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.send)
	p.wg.Go(p.receive)
	t.Cleanup(p.close)
	return p
}

func (p *prober) close() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.conn.Close()
	p.wg.Wait()
}

func (p *prober) send() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		seq := len(p.sent)
		p.sent, p.back = append(p.sent, time.Now()), append(p.back, time.Time{})
		p.mu.Unlock()
		m := icmp.Message{Type: p.request, Body: &icmp.Echo{ID: 77, Seq: seq, Data: make([]byte, 8)}}
		b, err := m.Marshal(nil)
		if err == nil {
			_, _ = p.conn.WriteTo(b, p.to)
		}
	}
}

func (p *prober) receive() {
	buf := make([]byte, 1500)
	for {
		n, _, err := p.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		m, err := icmp.ParseMessage(p.proto, buf[:n])
		if err != nil || m.Type != p.reply {
			continue
		}
		if e, ok := m.Body.(*icmp.Echo); ok && e.ID == 77 {
			p.mu.Lock()
			if e.Seq < len(p.back) && p.back[e.Seq].IsZero() {
				p.back[e.Seq] = time.Now()
			}
			p.mu.Unlock()
		}
	}
}

// answered is the number of answered requests so far.
func (p *prober) answered() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.back {
		if p.good(i) {
			n++
		}
	}
	return n
}

func (p *prober) good(i int) bool {
	return !p.back[i].IsZero() && p.back[i].Sub(p.sent[i]) < lateReply
}

// awaitMore waits until n more requests are answered.
func (p *prober) awaitMore(t testing.TB, n int) {
	t.Helper()
	have := p.answered()
	eventually(t, fmt.Sprintf("%d more answers", n), func() bool { return p.answered() >= have+n })
}

// lost lists the requests since the first answer, without the newest, that were not answered.
func (p *prober) lost() (lost []time.Time, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	started := false
	newest := time.Now().Add(-lateReply)
	for i := range p.sent {
		if p.sent[i].After(newest) {
			break
		}
		started = started || p.good(i)
		if !started {
			continue
		}
		of++
		if !p.good(i) {
			lost = append(lost, p.sent[i])
		}
	}
	return lost, of
}
