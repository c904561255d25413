package convert

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
	"github.com/lvs-ha/lvs-ha/internal/keepalived/keepalivedtest"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestResultIsValid converts random configurations: the results are valid, in the canonical layout, and the same each time.
func TestResultIsValid(t *testing.T) {
	seed, times := lab.Seed(t, 300)
	r := rand.New(rand.NewPCG(seed, 4))
	count := map[Fate]int{}
	refused := map[string]int{}
	for i := range times {
		in := keepalivedtest.Config(r)
		result := convertText(t, in)
		for _, f := range result.Findings {
			count[f.Fate]++
			if reason, is := strings.CutPrefix(f.Text, refusal); is {
				reason, _, _ = strings.Cut(reason, ":")
				refused[reason]++
			}
		}
		if again := convertText(t, in); string(again.HCL) != string(result.HCL) || !slices.Equal(again.Findings, result.Findings) {
			t.Errorf("the second conversion differs:\n%s", again.HCL)
		}
		if valid(t, result.HCL); t.Failed() {
			t.Fatalf("seed %d, configuration %d\n%s", seed, i, in)
		}
	}
	t.Logf("%d configurations: %v; of those missing, refused by lvs-ha: %v", times, count, refused)
}

// TestWordsHaveTheirFates converts random configurations until each word of the table had the fate that the table says.
func TestWordsHaveTheirFates(t *testing.T) {
	seed, times := lab.Seed(t, 1)
	r := rand.New(rand.NewPCG(seed, 5))
	type at struct{ block, word string }
	open := map[at]Fate{}
	for block, words := range table {
		for w, entry := range words {
			if !unwritten[block] {
				open[at{block, w}] = entry.fate
			}
		}
	}
	for n := 0; len(open) > 0; n++ {
		if n == 20_000*times {
			t.Fatalf("after %d configurations, these never had their fate: %v", n, open)
		}
		c, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(keepalivedtest.Config(r))})
		if err != nil {
			t.Fatal(err)
		}
		_, findings := convert(c, Options{})
		for _, f := range findings {
			if open[at{f.Block, f.Word}] == f.Fate {
				delete(open, at{f.Block, f.Word})
			}
		}
	}
}

// TestCommentsStay converts random configurations: each comment is in the result, once.
func TestCommentsStay(t *testing.T) {
	seed, times := lab.Seed(t, 300)
	r := rand.New(rand.NewPCG(seed, 6))
	note := regexp.MustCompile(`note \d+\.`)
	for i := range times {
		in := keepalivedtest.Config(r)
		out := string(convertText(t, in).HCL)
		for line := range strings.Lines(in) {
			text := note.FindString(line)
			before, _, _ := strings.Cut(line, text)
			quoted := strings.Count(before, `"`)%2 == 1
			if text != "" && !quoted && strings.Count(out, text) != 1 {
				t.Fatalf("seed %d, configuration %d: %q is there %d times\n%s\nbecame\n%s", seed, i, strings.TrimSpace(line), strings.Count(out, text), in, out)
			}
		}
	}
}

func convertText(t *testing.T, in string) *Result {
	t.Helper()
	c, err := keepalived.Read("f", keepalived.Options{Node: "lb1", Files: text(in)})
	if err != nil {
		t.Fatal(err)
	}
	r := Convert([]Source{{Config: c}}, Options{})
	if r.Err != nil {
		t.Error(r.Err)
	}
	return r
}
