package convert

import (
	"fmt"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// fileCheck converts a FILE_CHECK: the number in the file of a track_file, times a weight, is added to that of the real server.
func (c *converter) fileCheck(l *line, b *block, t timers) {
	file, weight := c.trackedFile(l.Last("track_file")), c.fileWeight(l.Node)
	if file == nil || file.Last("file") == nil || len(file.Last("file").Args) == 0 {
		l.doubt(Ignored, "keepalived ignores it: there is no such track_file.")
		return
	}
	factor, reverse, ok := 1, false, true
	if weight != nil {
		factor, reverse, ok = fileFactor(weight)
	}
	switch {
	case !ok:
		l.find(Ignored, "keepalived ignores its weight, which is not a number.")
		return
	case factor == 0 && reverse:
		l.find(Missing, "lvs-ha has no check that fails if the number is 0. Without another one, the real server counts as up.")
		return
	case reverse:
		factor = -factor
	}
	l.find(Same, "")
	h := &block{kind: "health_check", label: "file", notes: l.notes()}
	c.each("FILE_CHECK", l.Children, h, func(l2 *line) { l2.find(Same, "") })
	path := file.Last("file").Args[0]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	h.set("path", quote(path), notes{})
	t.of("file").write(c, h, nil)
	w := h.add(&block{kind: "weight"})
	w.set("unit", quote("added"), notes{})
	if factor != 1 {
		w.set("factor", fmt.Sprint(factor), notes{})
	}
	h.settle()
	b.add(h)
}

// fileWeight returns the line with the weight of a FILE_CHECK, or nil.
func (c *converter) fileWeight(check *keepalived.Node) *keepalived.Node {
	weight := check.Last("weight")
	if file := c.trackedFile(check.Last("track_file")); weight == nil && file != nil {
		weight = file.Last("weight")
	}
	return weight
}

// setsWeight reports whether a check sets the weight of its server.
func (c *converter) setsWeight(check *keepalived.Node) bool {
	if check.Keyword == "FILE_CHECK" {
		weight := c.fileWeight(check)
		if weight == nil {
			return true
		}
		factor, _, ok := fileFactor(weight)
		return !ok || factor != 0
	}
	return check.Last("misc_dynamic") != nil
}

// trackedFile returns the track_file block that a line names.
func (c *converter) trackedFile(n *keepalived.Node) *keepalived.Node {
	if n == nil || len(n.Args) == 0 {
		return nil
	}
	for _, file := range c.source.Nodes {
		if file == c.at {
			break // keepalived only knows what it has read
		}
		if (file.Keyword == "track_file" || file.Keyword == "vrrp_track_file") && len(file.Args) > 0 && file.Args[0] == n.Args[0] {
			return file
		}
	}
	return nil
}

func fileFactor(n *keepalived.Node) (factor int, reverse, ok bool) {
	if len(n.Args) == 0 {
		return 0, false, false
	}
	factor, ok = loose(n.Args[0], -1<<31+1, 1<<31-1)
	return factor, len(n.Args) > 1 && n.Args[1] == "reverse", ok
}
