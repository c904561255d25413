package spelling

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDistance(t *testing.T) {
	const far = 1000
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"tpc", "tcp", 1}, {"abc", "abc", 0}} {
		if got := Distance(c.a, c.b, far); got != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-c]{0,8}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := Distance(a, b, far)
		if d != Distance(b, a, far) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Errorf("the distance of %q and %q is %d", a, b, d)
		}
		limit := rapid.IntRange(1, 10).Draw(t, "limit")
		if got := Distance(a, b, limit); min(got, limit) != min(d, limit) {
			t.Errorf("with limit %d the distance of %q and %q is %d, not %d", limit, a, b, got, d)
		}
	})
}
