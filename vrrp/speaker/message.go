package speaker

import (
	"encoding/json"
	"io"

	"github.com/lvs-ha/lvs-ha/vrrp"
)

// A director and a speaker exchange JSON lines.

// order is a line from the director. Any line, even an empty one, is a sign of life.
type order struct {
	Wanted *vrrp.Wanted   `json:"wanted,omitempty"` // replaces the previous wanted state
	Report bool           `json:"report,omitempty"` // requests all statuses
	Counts bool           `json:"counts,omitempty"` // with Report: of instances that have not changed otherwise, requests only the counters
	After  *vrrp.Position `json:"after,omitempty"`  // requests all transitions after this one, including future ones
}

// news is a line from the speaker. It holds the statuses that have changed, or all of them after a report request or when
// a director connects, and the transitions that the director has not received yet, in order and without gaps.
type news struct {
	Statuses    []vrrp.Status            `json:"statuses"`
	Counters    map[string]vrrp.Counters `json:"counters,omitempty"` // of other instances than Statuses, by name
	Transitions []vrrp.Transition        `json:"transitions,omitempty"`
	Static      *[]string                `json:"static,omitempty"`  // what the kernel refuses of the static configuration, if that has changed
	Report      bool                     `json:"report,omitempty"`  // answers a request
	Figures     *vrrp.Figures            `json:"figures,omitempty"` // with a report
}

// messageReader reads lines. A decoder keeps a buffer for the longest line that it has read, a megabyte for a thousand instances,
// so another one continues after long lines.
type messageReader struct {
	from    io.Reader
	decoder *json.Decoder
}

// longLine is the number of bytes read by a decoder after which another one continues.
const longLine = 64 << 10

func (r *messageReader) read(into any) error {
	if d := r.decoder; d != nil && d.InputOffset() > longLine {
		r.from, r.decoder = io.MultiReader(d.Buffered(), r.from), nil
	}
	if r.decoder == nil {
		r.decoder = json.NewDecoder(r.from)
	}
	return r.decoder.Decode(into)
}
