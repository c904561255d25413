package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// ProbeConfig configures a prober.
type ProbeConfig struct {
	Network  string // "udp", to a UDPEcho, or "tcp", for which a connection is an answer
	Address  string
	Every    time.Duration // 10 ms if 0
	Deadline time.Duration // for each answer; 10 × Every if 0
}

// Outage is a time without answers: from sending the last answered probe to sending the next answered one.
type Outage struct {
	From, To time.Time
	Lost     int
}

// Length returns the duration of the outage.
func (o Outage) Length() time.Duration { return o.To.Sub(o.From) }

// ProbeReport is the result of a prober.
type ProbeReport struct {
	Sent, Lost int
	Outages    []Outage
	Longest    time.Duration
	Servers    map[string]int // answers by server, for UDP
	LastError  error
}

// Prober sends probes at a fixed rate, whether or not they are answered.
type Prober struct {
	config ProbeConfig
	host   *Node
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	questions []question
	lastError error
}

type question struct {
	sent     time.Time
	answered time.Duration // 0 if not in time
	server   string
}

// Probe starts a prober, which Stop ends.
func (c *Client) Probe(ctx context.Context, pc ProbeConfig) (*Prober, error) {
	if pc.Every == 0 {
		pc.Every = 10 * time.Millisecond
	}
	if pc.Deadline == 0 {
		pc.Deadline = 10 * pc.Every
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Prober{config: pc, host: c.host, cancel: cancel, done: make(chan struct{})}
	ask := p.askTCP
	if pc.Network == "udp" {
		conn, err := c.host.DialContext(ctx, "udp", pc.Address)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("probe %s: %w", pc.Address, err)
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		go p.receiveUDP(conn)
		ask = func(_ context.Context, n int) { p.note(askUDP(conn, n)) }
	}
	go p.run(ctx, ask)
	return p, nil
}

func (p *Prober) run(ctx context.Context, ask func(context.Context, int)) {
	defer close(p.done)
	tick := time.NewTicker(p.config.Every)
	defer tick.Stop()
	for {
		p.mu.Lock()
		p.questions = append(p.questions, question{sent: time.Now()})
		n := len(p.questions) - 1
		p.mu.Unlock()
		ask(ctx, n)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func askUDP(conn net.Conn, n int) error {
	_, err := conn.Write([]byte(strconv.Itoa(n)))
	return err
}

func (p *Prober) receiveUDP(conn net.Conn) {
	buf := make([]byte, 1500)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.note(err)
			continue
		}
		server, number, _ := bytes.Cut(buf[:n], []byte(" "))
		if asked, err := strconv.Atoi(string(number)); err == nil {
			p.answer(asked, string(server))
		}
	}
}

// askTCP connects in the background, so that an unanswered attempt does not delay the next one.
func (p *Prober) askTCP(ctx context.Context, n int) {
	go func() {
		ctx, cancel := context.WithTimeout(ctx, p.config.Deadline)
		defer cancel()
		conn, err := p.host.DialContext(ctx, "tcp", p.config.Address)
		if err != nil {
			p.note(err)
			return
		}
		p.answer(n, "")
		if tcp, ok := conn.(*net.TCPConn); ok {
			// Reset it, so that thousands do not linger in TIME_WAIT.
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}()
}

func (p *Prober) note(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastError = err
}

func (p *Prober) answer(n int, server string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < 0 || n >= len(p.questions) {
		return
	}
	q := &p.questions[n]
	if took := now.Sub(q.sent); took <= p.config.Deadline && q.answered == 0 {
		q.answered, q.server = max(took, 1), server
	}
}

// Report returns the results so far. Probes whose deadline has not passed count only if they are answered.
func (p *Prober) Report() ProbeReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := ProbeReport{Servers: map[string]int{}, LastError: p.lastError}
	now := time.Now()
	var lastGood time.Time
	lost := 0
	for _, q := range p.questions {
		switch {
		case q.answered > 0:
			r.Sent++
			r.Servers[q.server]++
			if lost > 0 {
				r.Outages = append(r.Outages, Outage{From: lastGood, To: q.sent, Lost: lost})
			}
			lastGood, lost = q.sent, 0
		case now.Sub(q.sent) > p.config.Deadline:
			r.Sent++
			r.Lost++
			if lost == 0 && lastGood.IsZero() {
				lastGood = q.sent
			}
			lost++
		}
	}
	if lost > 0 {
		r.Outages = append(r.Outages, Outage{From: lastGood, To: now, Lost: lost})
	}
	if len(r.Outages) > 0 {
		r.Longest = slices.MaxFunc(r.Outages, func(a, b Outage) int { return int(a.Length() - b.Length()) }).Length()
	}
	return r
}

// Stop ends the probing and returns the results.
func (p *Prober) Stop() ProbeReport {
	p.cancel()
	<-p.done
	return p.Report()
}
