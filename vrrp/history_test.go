//go:build !race

package vrrp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// history is a sequence of operations on the routers of a lan. Failures print its text form, which testdata/histories
// stores.
type history struct {
	seed     uint64
	networks int // more than one: the routers of each host are a sync group
	stretch  int // of the intervals: see newLANs
	hosts    []Instance
	ops      []op
}

// op is one operation on a router or its host, some time after the previous one.
type op struct {
	after  time.Duration
	kind   string
	router int
	arg    int
}

// kindOfOp is the effect of an op, and how its argument is drawn.
type kindOfOp struct {
	name string
	draw func(d *rand.Rand) int
	do   func(l *lan, r *router, arg int)
}

func none(*rand.Rand) int { return 0 }

func upTo(most int) func(*rand.Rand) int { return func(d *rand.Rand) int { return d.IntN(most + 1) } }

func oneOf(args ...int) func(*rand.Rand) int {
	return func(d *rand.Rand) int { return args[d.IntN(len(args))] }
}

// smoothOps are the operations that leave no gap on a network without faults.
var smoothOps = []kindOfOp{
	{"track", oneOf(-250, -60, -50, -1, 0, 0, 1, 60), func(l *lan, r *router, arg int) {
		l.track(r, Track{Name: "script", Kind: TrackInterfaceLink, Effect: EffectOffset, Offset: arg}, arg != 0)
	}},
	{"track-fault", oneOf(0, 1), func(l *lan, r *router, arg int) {
		l.track(r, Track{Name: "eth1", Kind: TrackInterfaceLink, Effect: EffectFault}, arg == 1)
	}},
	{"director-lost", oneOf(0, 1), func(l *lan, r *router, arg int) {
		l.track(r, Track{Kind: TrackDirector, Effect: EffectLastResort}, arg == 1)
	}},
	{"refused", oneOf(0, 1), func(l *lan, r *router, arg int) {
		l.track(r, Track{Kind: TrackAddresses, Effect: EffectLastResort}, arg == 1)
	}},
	{"failover", oneOf(0, 1), func(l *lan, r *router, arg int) {
		l.track(r, Track{Kind: TrackFailover, Effect: EffectLastResort}, arg == 1)
	}},
	{"hold", oneOf(0, 1), func(l *lan, r *router, arg int) {
		l.track(r, Track{Kind: TrackConnectionSync, Effect: EffectHold, Reason: "learning"}, arg == 1)
	}},
	{"priority", oneOf(1, 2, 50, 99, 100, 101, 150, 254), func(l *lan, r *router, arg int) {
		l.reload(r, func(in *Instance) {
			if in.Priority != PriorityOwner {
				in.Priority = uint8(max(arg, 1))
			}
		})
	}},
	{"addresses", upTo(2), func(l *lan, r *router, arg int) {
		l.reload(r, func(in *Instance) { in.Addresses = addressSets[arg] })
	}},
	{"preempt", oneOf(0, 1), func(l *lan, r *router, arg int) {
		l.reload(r, func(in *Instance) { in.Preempt = arg == 1 })
	}},
	{"wall-clock", oneOf(-3600, -1, 1, 3600), func(_ *lan, r *router, arg int) { r.wall = time.Duration(arg) * time.Second }},
}

// roughOps are all other operations.
var roughOps = []kindOfOp{
	{"loss", oneOf(0, 0, 10, 50, 100), func(l *lan, _ *router, arg int) { l.loss, l.lossy = arg, true }},
	{"duplicate", oneOf(0, 50), func(l *lan, _ *router, arg int) { l.duplicate = arg }},
	{"jitter", oneOf(0, 1, 25, 100, 200), func(l *lan, _ *router, arg int) { l.jitter = l.part(arg) }},
	{"side", upTo(2), func(_ *lan, r *router, arg int) { r.side = arg }},
	{"deaf", oneOf(0, 1), func(l *lan, r *router, arg int) { r.deaf, l.lossy = arg == 1, true }},
	{"mute", oneOf(0, 1), func(l *lan, r *router, arg int) { r.mute, l.lossy = arg == 1, true }},
	{"power-off", none, func(l *lan, r *router, _ int) { l.kill(r) }},
	{"kill", none, func(l *lan, r *router, _ int) { l.killProcess(r) }},
	{"boot", none, func(l *lan, r *router, _ int) { l.boot(r) }},
	{"stop", none, func(l *lan, r *router, _ int) { l.stop(r) }},
	{"link", oneOf(0, 1), func(l *lan, r *router, arg int) { l.plug(r, arg == 1) }},
	{"pause", oneOf(10, 50, 100, 350, 500), func(l *lan, r *router, arg int) {
		l.pause(r, l.part(arg))
		l.rules.disturbed = max(l.rules.disturbed, r.busy)
	}},
	{"slow", oneOf(0, 1, 10, 50), func(l *lan, r *router, arg int) { r.lag = l.part(arg) }},
	{"interval", oneOf(1, 2, 3), func(l *lan, r *router, arg int) {
		l.reload(r, func(in *Instance) {
			if in.Version == 3 {
				in.AdvertiseInterval = l.interval * time.Duration(max(arg, 1))
			}
		})
	}},
	{"renumber", upTo(2), func(l *lan, r *router, arg int) {
		for _, o := range r.members {
			l.up(o, netip.AddrFrom4([4]byte{10, 0, byte(arg), byte(r.id + 1)}))
		}
	}},
	{"prefix", none, func(l *lan, r *router, _ int) {
		l.reload(r, func(in *Instance) { in.Addresses = addressSets[3] })
	}},
	{"forge", oneOf(1, 3, 20, 100), func(l *lan, r *router, arg int) { l.forge(r, arg) }},
}

var addressSets = [][]Address{
	prefixes("10.0.0.100/24"), prefixes("10.0.0.100/24", "10.0.0.101/24"), prefixes("10.0.0.102/24", "10.0.0.100/24"), prefixes("10.0.0.100/32", "10.0.0.102/24"),
}

// arg draws an argument.
func (k *kindOfOp) arg(luck uint64) int { return k.draw(rand.New(rand.NewPCG(luck, 2))) }

func findOp(name string) *kindOfOp {
	for _, table := range [][]kindOfOp{smoothOps, roughOps} {
		for i := range table {
			if table[i].name == name {
				return &table[i]
			}
		}
	}
	panic("no op is called " + name)
}

// part returns a percentage of the interval.
func (l *lan) part(percent int) time.Duration { return l.interval * time.Duration(percent) / 100 }

// forge sends adverts that pass Instance.Check, with any source except the receiver's and any priority and interval, to one
// router or to all.
func (l *lan) forge(r *router, n int) {
	d := rand.New(rand.NewPCG(l.seed, uint64(l.now)))
	gap := []time.Duration{3, 100, 2_000, 30_000, 400_000}[d.IntN(5)] * time.Microsecond
	victims := l.routers
	if d.IntN(2) == 0 {
		victims = []*router{r}
	}
	packet := func(to *router) Received {
		p := Received{
			Source:   l.routers[d.IntN(len(l.routers))].source,
			Priority: []uint8{0, 0, 1, to.in.Priority - 1, to.in.Priority, to.in.Priority, 254, 255, 255}[d.IntN(9)],
			Interval: []time.Duration{to.in.AdvertiseInterval, MinAdvertiseInterval, 333 * centisecond, MaxAdvertiseInterval}[d.IntN(4)],
		}
		if p.Source == to.source || d.IntN(3) == 0 {
			p.Source = netip.AddrFrom4([4]byte{10, 0, 0, []byte{66, 200}[d.IntN(2)]})
		}
		if to.in.Version == 2 {
			p.Interval = to.in.AdvertiseInterval
		}
		return p
	}
	l.rules.forged, l.lossy = true, true // a router that yields to a forged advert does not notify a master on another side
	alike := d.IntN(3) == 0
	p := packet(victims[0])
	for range n {
		for _, to := range victims {
			if !alike {
				p = packet(to)
			}
			if p.Source != to.source {
				l.tell(to, p)
			}
		}
		l.run(gap)
		l.disturb()
	}
}

// draw returns a random history.
func draw(seed uint64) *history {
	d := rand.New(rand.NewPCG(seed, 1))
	h := &history{seed: seed, networks: 1 + min(d.IntN(maxNetworks), d.IntN(maxNetworks)), stretch: d.IntN(4) / 3}
	base := v3()
	switch d.IntN(5) {
	case 0:
		base = v2()
		base.AdvertiseInterval *= time.Duration(1 + d.IntN(2))
	case 1:
		base.AdvertiseInterval = []time.Duration{1, 5}[d.IntN(2)] * time.Second
	case 2:
		base.AdvertiseInterval = 10 * time.Millisecond
	}
	mixed := base.Version == 3 && d.IntN(4) == 0 // intervals
	equal := d.IntN(4) == 0                      // priorities
	if !mixed {
		base.AdoptFactor = []int{0, 0, 1, 10}[d.IntN(4)]
	}
	for range 2 + min(d.IntN(6), d.IntN(6)) {
		in := base
		in.Priority = uint8(1 + d.IntN(254))
		if equal {
			in.Priority = 100
		}
		if d.IntN(20) == 0 {
			in.Priority = PriorityOwner
		}
		in.Preempt = d.IntN(4) > 0
		if d.IntN(4) == 0 {
			in.PreemptDelay = base.AdvertiseInterval * time.Duration(d.IntN(5)) / 2
		}
		if mixed {
			in.AdvertiseInterval *= time.Duration(1 + d.IntN(3))
		}
		h.ops = append(h.ops, op{gap(d, base.AdvertiseInterval) / 4, "boot", len(h.hosts), 0})
		h.hosts = append(h.hosts, in)
	}
	for range 1 + min(d.IntN(16), d.IntN(16)) {
		table := smoothOps
		if d.IntN(3) > 0 {
			table = roughOps
		}
		k := table[d.IntN(len(table))]
		if k.name == "interval" && !mixed || k.name == "forge" && seed%4 > 0 {
			continue
		}
		h.ops = append(h.ops, op{gap(d, base.AdvertiseInterval), k.name, d.IntN(h.networks * len(h.hosts)), k.draw(d)})
	}
	return h
}

// gap returns a random time between two ops.
func gap(d *rand.Rand, interval time.Duration) time.Duration {
	most := []time.Duration{1, time.Millisecond, interval / 4, interval, 3 * interval, 8 * interval}[d.IntN(6)]
	return time.Duration(d.Int64N(int64(most)))
}

// String returns the text form: a line for each host's routers and each op.
func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\nnetworks %d stretch %d\n", h.seed, h.networks, h.stretch)
	for _, in := range h.hosts {
		fmt.Fprintf(&b, "router v%d %s priority %d preempt %t delay %s factor %d\n",
			in.Version, in.AdvertiseInterval, in.Priority, in.Preempt, in.PreemptDelay, in.AdoptFactor)
	}
	for _, o := range h.ops {
		fmt.Fprintf(&b, "%s r%d %s %d\n", o.after, o.router, o.kind, o.arg)
	}
	return b.String()
}

// parseHistory reads the text form. Lines that begin with # are comments.
func parseHistory(text string) (*history, error) {
	h := &history{networks: 1}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		var err error
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
		case f[0] == "seed" && len(f) == 2:
			h.seed, err = strconv.ParseUint(f[1], 10, 64)
		case f[0] == "networks" && len(f) == 4:
			_, err = fmt.Sscan(f[1]+" "+f[3], &h.networks, &h.stretch)
		case f[0] == "router" && len(f) == 11:
			in := v3()
			if f[1] == "v2" {
				in = v2()
			}
			_, err = fmt.Sscan(f[4]+" "+f[6]+" "+f[10], &in.Priority, &in.Preempt, &in.AdoptFactor)
			in.AdvertiseInterval, _ = time.ParseDuration(f[2])
			in.PreemptDelay, _ = time.ParseDuration(f[8])
			h.hosts = append(h.hosts, in)
		case len(f) == 4:
			o := op{kind: f[2]}
			o.after, err = time.ParseDuration(f[0])
			if err == nil {
				_, err = fmt.Sscanf(f[1]+" "+f[3], "r%d %d", &o.router, &o.arg)
			}
			h.ops = append(h.ops, o)
		default:
			err = fmt.Errorf("unknown line")
		}
		if err != nil {
			return nil, fmt.Errorf("history: %q: %w", line, err)
		}
	}
	return h, nil
}
