package ipvsadm_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// generated returns a generator and how often to use it. The environment can ask for other lines, and for more.
func generated(t *testing.T, n int) (generator, int) {
	t.Helper()
	seed := uint64(1)
	if s := os.Getenv("LVS_HA_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	if s := os.Getenv("LVS_HA_TIMES"); s != "" {
		if times, err := strconv.Atoi(s); err == nil {
			n *= times
		}
	}
	t.Logf("LVS_HA_SEED=%d", seed)
	return generator{rand.New(rand.NewPCG(seed, 0))}, n
}

func TestKernelGeneratedCommandLines(t *testing.T) {
	r := newRivals(t)
	g, n := generated(t, 400)
	for range n {
		r.run(t, "", g.line()...)
	}
	r.list(t, true)
	t.Logf("%d generated command lines and listings compared", r.compared)
}

func TestKernelGeneratedRuleFiles(t *testing.T) {
	r := newRivals(t)
	g, n := generated(t, 40)
	for range n {
		var rules strings.Builder
		for range g.IntN(12) {
			rules.WriteString(g.rule() + "\n")
		}
		r.run(t, strings.TrimSuffix(rules.String(), g.one("", "\n")), "-R")
		if g.rarely(4) {
			r.run(t, "", "-C")
		}
	}
	t.Logf("%d generated rule files compared", r.compared)
}
