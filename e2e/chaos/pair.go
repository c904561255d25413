package chaos

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/lvs-ha/lvs-ha/e2e/scene"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

const (
	configPath = "/run/pair.hcl"
	inside     = "192.168.10.254" // the virtual address that is the real servers' gateway
	runtimeDir = "/run/lvs-ha"
	allHeld    = "11"
	noneHeld   = "00"
	servers    = 3
)

//go:embed pair.hcl
var pairConfig []byte

// directorAddresses are the addresses that the directors advertise from.
var directorAddresses = []netip.Addr{netip.MustParseAddr("202.99.59.111"), netip.MustParseAddr("202.99.59.112")}

// Pair is a pair of directors with real servers and a client, monitored continuously.
type Pair struct {
	*scene.Scene
	lab     *lab.Lab
	capture *lab.Capture
	seen    []*sights
	rivals  rivals

	unplugged map[cable]bool

	table  string // expected, in the format of ipvsadm -S
	ctx    context.Context
	cancel context.CancelFunc
}

// NewPair builds the pair and waits until it is healthy. Close shuts it down.
func NewPair(ctx context.Context, binary string) (*Pair, error) {
	l, err := lab.New("chaos")
	if err != nil {
		return nil, err
	}
	p := &Pair{lab: l, unplugged: map[cable]bool{}}
	p.ctx, p.cancel = context.WithCancel(ctx)
	if err := p.build(binary); err != nil {
		if p.Scene != nil {
			err = fmt.Errorf("%w\n%s", err, p.log())
		}
		return nil, errors.Join(fmt.Errorf("build the pair: %w", err), p.Close())
	}
	return p, nil
}

func (p *Pair) build(binary string) (err error) {
	p.Scene, err = scene.Build(p.lab, scene.NAT, scene.Options{
		Binary: binary, Config: configPath, Text: pairConfig, Sysctls: map[string]string{"net.ipv4.ip_forward": "0"},
	})
	if err != nil {
		return err
	}
	for range p.Directors {
		p.seen = append(p.seen, &sights{})
	}
	p.capture, err = p.ClientHost.Follow("eth0", lab.AdvertsOf(directorAddresses...), p.advert)
	if err != nil {
		return err
	}
	if err := p.Start(p.ctx); err != nil {
		return err
	}
	for i := range p.Directors {
		if err := p.watch(i); err != nil {
			return err
		}
	}
	return p.settle(p.ctx)
}

// settle waits until the pair is healthy for the first time and records the table.
func (p *Pair) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		return err
	}
	table, err := lab.Output(ctx, p.Directors[0].Director, "ipvsadm", "-S", "-n")
	if err != nil {
		return err
	}
	p.table = table
	if _, wrong := p.recovered(ctx); wrong != "" {
		return errors.New(wrong)
	}
	return nil
}

// Close shuts everything down.
func (p *Pair) Close() error {
	p.cancel()
	return p.lab.Close()
}

// watch starts the witness on a running director.
func (p *Pair) watch(i int) error {
	return lab.Watch(p.ctx, p.Directors[i].Director, p.seen[i].take, "-state", "-api", runtimeDir+"/api.sock", scene.VIP, inside)
}

func (p *Pair) advert(f lab.Frame) {
	const source, priority = 14 + 12, 14 + 20 + 2
	if len(f.Data) <= priority || f.Data[priority] == 0 {
		return // a director that resigns is no longer master
	}
	from := 0
	if netip.AddrFrom4([4]byte(f.Data[source:source+4])) == directorAddresses[1] {
		from = 1
	}
	p.rivals.heard(advertised{f.Time, from})
}

// PowerCycle switches both directors off and on after a round that left them unhealthy.
func (p *Pair) PowerCycle(ctx context.Context) error {
	for cable := range p.unplugged {
		if err := p.plug(cable); err != nil {
			return err
		}
	}
	for i, d := range p.Directors {
		if err := d.Kill(); err != nil {
			return err
		}
		p.seen[i].off(time.Now())
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	for i := range p.Directors {
		if err := p.watch(i); err != nil {
			return err
		}
	}
	return p.settle(ctx)
}

// cable identifies a director's network card.
type cable struct{ director, card string }

func (p *Pair) unplug(c cable) error {
	p.unplugged[c] = true
	return p.lab.Unplug(c.director, c.card)
}

func (p *Pair) plug(c cable) error {
	delete(p.unplugged, c)
	return p.lab.Plug(c.director, c.card)
}

// recovered waits until the pair is healthy and returns the time at which that was, or what is wrong when the context ends.
func (p *Pair) recovered(ctx context.Context) (at time.Time, wrong string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		now := time.Now()
		// The witnesses report most of this at no extra cost.
		found := p.wrongStates()
		if found == "" {
			found = p.wrong(ctx)
		}
		if found == "" {
			return now, ""
		}
		if ctx.Err() == nil || wrong == "" {
			wrong = found // an error after ctx has ended is caused by that
		}
		select {
		case <-ctx.Done():
			return now, wrong
		case <-tick.C:
		}
	}
}

func (p *Pair) wrongStates() string {
	for i, d := range p.Directors {
		want := noneHeld
		if i == 0 {
			want = allHeld
		}
		s := p.seen[i].last()
		if s.held != want || s.services != 1 || s.servers != servers || !s.forwards {
			return fmt.Sprintf("%s holds %q of the virtual addresses, want %q; %d services, %d servers, forwarding %v", d.Name(), s.held, want, s.services, s.servers, s.forwards)
		}
	}
	return ""
}

// inspect prints the input of wrong.
const inspect = `ipvsadm -S -n; echo ==; ipvsadm -L --daemon; echo ==; ` + processVariables + `echo "$run|$director|$speaker|$spare"`

// wrong describes what differs from the expected state, or returns "".
func (p *Pair) wrong(ctx context.Context) string {
	for i, d := range p.Directors {
		role, right := "backup", scene.IsBackup
		if i == 0 {
			role, right = "master", scene.IsMaster
		}
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		status, err := d.Status(limited)
		cancel()
		if err != nil {
			return err.Error()
		}
		if !right(status) || len(scene.Pool(status)) != servers {
			return fmt.Sprintf("%s is not %s with the whole pool: %+v", d.Name(), role, status.VRRP)
		}
		out, err := lab.Output(ctx, d.Director, "sh", "-c", inspect)
		if err != nil {
			return err.Error()
		}
		parts := strings.Split(out, "==\n")
		switch {
		case len(parts) != 3:
			return fmt.Sprintf("%s answers %q", d.Name(), out)
		case parts[0] != p.table:
			return fmt.Sprintf("the table of %s is\n%s", d.Name(), parts[0])
		case strings.Count(parts[1], "sync daemon") != 1 || !strings.HasPrefix(parts[1], role):
			return fmt.Sprintf("the sync daemons of %s: %s", d.Name(), parts[1])
		case strings.Contains("|"+strings.TrimSpace(parts[2])+"|", "||"):
			return fmt.Sprintf("%s lacks a process; parent, director, speaker and spare are %s", d.Name(), parts[2])
		}
	}
	spread, err := p.Client.Spread(ctx, 2*servers, "http://"+scene.VIP+"/")
	if err != nil || len(spread) != servers {
		return fmt.Sprintf("the client was answered by %v: %v", spread, err)
	}
	return ""
}
