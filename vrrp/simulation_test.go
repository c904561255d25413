//go:build !race

package vrrp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestInstant checks the layout of time.Time that simulated clocks rely on.
func TestInstant(t *testing.T) {
	a, b := instant(time.Hour, 100*time.Hour), instant(time.Hour+time.Nanosecond, 50*time.Hour+time.Nanosecond)
	if d := b.Sub(a); d != time.Nanosecond || !a.Before(b) {
		t.Errorf("the monotonic readings differ by %s", d)
	}
	if d := b.Round(0).Sub(a.Round(0)); d != time.Nanosecond-50*time.Hour {
		t.Errorf("the wall readings differ by %s", d)
	}
	if y := a.Year(); y != 2026 {
		t.Errorf("the year is %d", y)
	}
}

// TestSimulation plays some random histories; TestProofSimulation plays many. LVS_HA_SEED=n starts with another one,
// LVS_HA_TIMES multiplies their number.
func TestSimulation(t *testing.T) {
	n := 1_000
	if testing.Short() { // enough to find a mutant
		n = 4_000
	}
	simulate(t, n)
}

func simulate(t *testing.T, n int) {
	first, times := number(t, "LVS_HA_SEED", 1), number(t, "LVS_HA_TIMES", 1)
	begun := cpuTime()
	var longest rules
	for seed := first; seed < first+uint64(n)*times; seed++ {
		h := draw(seed)
		l, broken := h.play(false)
		if broken != "" {
			reportHistory(t, h)
			return
		}
		longest.longest.election = max(longest.longest.election, l.rules.longest.election)
		longest.longest.unheld = max(longest.longest.unheld, l.rules.longest.unheld)
		longest.longest.overlap = max(longest.longest.overlap, l.rules.longest.overlap)
		longest.longest.split = max(longest.longest.split, l.rules.longest.split)
	}
	all := uint64(n) * times
	t.Logf("%d histories from seed %d, %.0f per CPU second; the longest: election %d %%, no holder %d %%, two masters %d %%, split %d %% of the bound",
		all, first, float64(all)/(cpuTime()-begun).Seconds(), longest.longest.election, longest.longest.unheld, longest.longest.overlap, longest.longest.split)
}

// cpuTime returns the CPU time of this process, because a rate by wall time would depend on the load of the host.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// number returns a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// reportHistory prints a failing history as small as it can be made, ready for testdata/histories.
func reportHistory(t *testing.T, h *history) {
	seed := h.seed
	if !testing.Short() {
		h = h.shrink()
	}
	l, broken := h.play(true)
	t.Fatalf("seed %d: %s\n\nshrunk, for a file in testdata/histories:\n%s\nwhat happened:\n%s", seed, broken, h, l)
}

// TestHistories plays the histories in testdata/histories, each of which once broke a rule.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h, err := parseHistory(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if l, broken := h.play(true); broken != "" {
				t.Errorf("%s\n%s", broken, l)
			}
		})
	}
}

// TestHistoryText checks that a printed history parses to the same history.
func TestHistoryText(t *testing.T) {
	for seed := range uint64(100) {
		text := draw(seed).String()
		h, err := parseHistory(text)
		if err != nil {
			t.Fatal(err)
		}
		if h.String() != text {
			t.Fatalf("%s\nbecame\n%s", text, h)
		}
	}
}

// shrink returns a smaller history that also breaks a rule.
func (h *history) shrink() *history {
	tries := 0
	breaks := func(c *history) bool {
		tries++
		_, broken := c.play(false)
		return broken != "" && tries < 2_000
	}
	for changed := true; changed; {
		changed = false
		for _, c := range h.smaller() {
			if breaks(c) {
				h, changed = c, true
				break
			}
		}
	}
	return h
}

// smaller returns histories that are simpler in one respect.
func (h *history) smaller() []*history {
	var out []*history
	try := func(change func(c *history)) {
		c := &history{h.seed, h.networks, h.stretch, slices.Clone(h.hosts), slices.Clone(h.ops)}
		change(c)
		if fmt.Sprint(c) != fmt.Sprint(h) {
			out = append(out, c)
		}
	}
	for n := len(h.ops) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(h.ops); i += n {
			try(func(c *history) { c.ops = slices.Delete(c.ops, i, i+n) })
		}
	}
	if h.networks > 1 {
		try((*history).dropNetwork)
		try(func(c *history) { c.stretch = 0 })
	}
	for i := range h.hosts {
		if len(h.hosts) > 1 {
			try(func(c *history) { c.drop(i) })
		}
		try(func(c *history) { c.hosts[i].PreemptDelay = 0 })
		try(func(c *history) { c.hosts[i].Preempt = true })
		try(func(c *history) { c.hosts[i].AdvertiseInterval = c.hosts[0].AdvertiseInterval })
	}
	for i, o := range h.ops {
		for _, d := range []time.Duration{0, h.hosts[0].AdvertiseInterval, o.after.Truncate(time.Second), o.after.Truncate(time.Millisecond)} {
			if d < o.after {
				try(func(c *history) { c.ops[i].after = d })
			}
		}
		try(func(c *history) { c.ops[i].arg = 0 })
	}
	return out
}

// drop removes a host and the operations on it.
func (h *history) drop(host int) {
	n := len(h.hosts)
	h.hosts = slices.Delete(h.hosts, host, host+1)
	h.renumber(func(router int) (int, bool) {
		network, id := router/n, router%n
		if id > host {
			return network*(n-1) + id - 1, true
		}
		return network*(n-1) + id, id != host
	})
}

// dropNetwork removes the last network and the operations on its routers.
func (h *history) dropNetwork() {
	h.networks--
	h.renumber(func(router int) (int, bool) { return router, router < h.networks*len(h.hosts) })
}

// renumber changes the routers of the operations, and removes those without a router.
func (h *history) renumber(index func(router int) (int, bool)) {
	var ops []op
	for _, o := range h.ops {
		var kept bool
		if o.router, kept = index(o.router); kept {
			ops = append(ops, o)
		}
	}
	h.ops = ops
}

// TestReloadDoesNotMove checks that a reload that does not change which router is best does not move mastership. The routers
// are reloaded in any order if a backup may adopt any interval; otherwise the one with the longer interval is reloaded last.
func TestReloadDoesNotMove(t *testing.T) {
	for seed := range uint64(300) {
		d := rand.New(rand.NewPCG(seed, 3))
		var routers []Instance
		anyInterval := d.IntN(2) == 0
		for i := range 2 + d.IntN(4) {
			in := v3()
			in.Priority = uint8(250 - 10*i - d.IntN(10))
			if anyInterval {
				in.AdoptFactor = AdoptFactorMax
			}
			routers = append(routers, in)
		}
		interval := []time.Duration{10, 100, 1000, 5000}[d.IntN(4)] * time.Millisecond
		l := newLAN(seed, routers...)
		l.rules = newRules()
		for _, r := range l.routers {
			l.boot(r)
		}
		l.disturb()
		master := l.settle()
		l.rules.gapless = true
		order := slices.Clone(l.routers) // starting with the master
		if anyInterval {
			d.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		} else if interval > master.in.AdvertiseInterval {
			slices.Reverse(order)
		}
		for _, r := range order {
			l.reload(r, func(in *Instance) { in.AdvertiseInterval, in.Addresses = interval, addressSets[1] })
			l.disturb()
			l.run([]time.Duration{0, 50, 2_000, 70_000, 500_000, 3_000_000}[d.IntN(6)] * time.Microsecond)
		}
		if l.settle() != master || master.masterships != 1 {
			t.Fatalf("seed %d: mastership moved: %s", seed, l.rules.broken)
		}
	}
}

// TestForgedAdvertUnserved measures the worst effect of two forged packets on a pair, also if any interval is adopted. A
// single packet has no lasting effect: the master's last advert, sent as it yields, is the latest that the backup receives.
func TestForgedAdvertUnserved(t *testing.T) {
	for _, c := range []struct {
		factor   int
		unserved time.Duration
	}{
		{0, 11 * time.Second},
		{1, 4 * time.Second},
		{AdoptFactorMax, 141 * time.Second},
	} {
		best, second := v3(), v3()
		best.Priority, best.AdvertiseInterval, best.AdoptFactor = 150, time.Second, c.factor
		second.AdvertiseInterval, second.AdoptFactor = time.Second, c.factor
		l := newLAN(1, best, second)
		for _, r := range l.routers {
			l.boot(r)
		}
		l.run(10 * time.Second)
		for range 2 {
			for _, r := range l.routers {
				l.tell(r, Received{Source: netip.MustParseAddr("10.0.0.66"), Priority: PriorityOwner, Interval: MaxAdvertiseInterval})
			}
			l.run(5 * time.Millisecond)
		}
		begun := l.now
		for l.owners() == 0 {
			l.run(time.Millisecond)
		}
		if took := l.now - begun; took > c.unserved || took < c.unserved/2 {
			t.Errorf("factor %d: unserved for %s, want at most %s", c.factor, took, c.unserved)
		}
	}
}
