package convert

import (
	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Fate is what becomes of a line.
type Fate string

// The fates, from best to worst.
const (
	Same       Fate = "same"
	Equivalent Fate = "equivalent" // written differently, or what lvs-ha does anyway
	Ignored    Fate = "ignored"    // keepalived ignores it too
	Differs    Fate = "differs"
	Missing    Fate = "missing"
)

// Lossy reports whether the result behaves differently from keepalived.
func (f Fate) Lossy() bool { return f == Differs || f == Missing }

// Finding is the fate of a line.
type Finding struct {
	keepalived.Position
	Node  string // whose configuration it is in, if there are several
	Block string // the block that contains it, such as vrrp_instance; "" at the top level
	Word  string // keepalived's keyword
	Fate  Fate
	Text  string // a sentence; "" if there is nothing to say

	// Suspect marks a line with the same effect in keepalived, but probably not the one that its author wanted.
	Suspect bool
}

// word describes a keyword: what becomes of it, unless the conversion of a line decides otherwise.
type word struct {
	fate Fate
	into string // what to write with lvs-ha; "" if nothing
	text string // a sentence
}

// words is a table of the keywords of blocks: block, then keyword.
type words map[string]map[string]word
