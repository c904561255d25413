package ipvsadm_test

import (
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

func TestKernelGeneratedCommandLines(t *testing.T) {
	r := newRivals(t)
	random, n := lab.Generate(t, 400)
	g := generator{random}
	for range n {
		r.run(t, "", g.line()...)
	}
	r.list(t, true)
	t.Logf("%d generated command lines and listings compared", r.compared)
}

func TestKernelGeneratedRuleFiles(t *testing.T) {
	r := newRivals(t)
	random, n := lab.Generate(t, 40)
	g := generator{random}
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
