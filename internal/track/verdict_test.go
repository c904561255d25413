package track

import (
	"strings"
	"testing"
	"time"
)

// TestVerdict has a + or - for each result, followed by the resulting state.
func TestVerdict(t *testing.T) {
	letters := map[State]string{Unknown: "?", Good: "g", Bad: "b"}
	for _, tt := range []struct {
		rise, fall    int
		initial       State
		results, want string
	}{
		{1, 1, Unknown, "+-+", "gbg"},
		{3, 3, Unknown, "+", "g"},
		{3, 3, Unknown, "-", "b"},
		{2, 3, Unknown, "+--+---++-++", "ggggggbbgggg"},
		{2, 3, Bad, "+", "b"},
		{2, 3, Bad, "++", "bg"},
		{2, 3, Bad, "+-+", "bbb"},
		{2, 3, Good, "--+---", "gggggb"},
		{0, 0, Bad, "+-", "gb"},
	} {
		v := verdict{rise: tt.rise, fall: tt.fall}
		start := time.Unix(1000, 0)
		v.begin(tt.initial, start)
		got := ""
		last := v.result
		for i, c := range tt.results {
			now := start.Add(time.Duration(i+1) * time.Second)
			r := v.note(c == '+', "exit status 1", now)
			got += letters[r.State]
			if changed := r.State != last.State; changed != r.Since.Equal(now) || !changed && !r.Since.Equal(last.Since) {
				t.Errorf("%+v: state %q since %v after %q since %v", tt, r.State, r.Since, last.State, last.Since)
			}
			if !strings.HasPrefix(r.Reason, "exit status 1") {
				t.Errorf("%+v: reason %q", tt, r.Reason)
			}
			last = r
		}
		if got != tt.want {
			t.Errorf("rise %d, fall %d, initial %q, %s: %s, want %s", tt.rise, tt.fall, tt.initial, tt.results, got, tt.want)
		}
	}
}
