package speaker

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// Messages of all lengths arrive complete and in order, and a long one does not leave its buffer to those that follow.
func TestMessageReader(t *testing.T) {
	lengths := []int{0, 3, longLine, 1, 5 * longLine, 2 * longLine, 7, 0, longLine - 20, 40}
	var text strings.Builder
	for i, n := range lengths {
		if err := json.NewEncoder(&text).Encode(news{Static: &[]string{strings.Repeat("x", n)}, Transitions: []vrrp.Transition{{Sequence: uint64(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, from := range map[string]io.Reader{
		"all at once": strings.NewReader(text.String()), "halves": iotest.HalfReader(strings.NewReader(text.String())),
		"bytes": iotest.OneByteReader(strings.NewReader(text.String())),
	} {
		r := &messageReader{from: from}
		for i, want := range lengths {
			var n news
			former := r.decoder
			if err := r.read(&n); err != nil {
				t.Fatalf("%s: message %d: %v", name, i, err)
			}
			if got := len((*n.Static)[0]); got != want || n.Transitions[0].Sequence != uint64(i) {
				t.Fatalf("%s: message %d has %d bytes, want %d", name, n.Transitions[0].Sequence, got, want)
			}
			if long := i > 0 && lengths[i-1] >= longLine; long && r.decoder == former {
				t.Errorf("%s: message %d was read with the buffer of a long one", name, i)
			}
		}
		if err := r.read(&news{}); err != io.EOF {
			t.Errorf("%s: %v at the end", name, err)
		}
	}
}
