package convert

import (
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Every comment of the source comes out once: with what its line became, or, if the line became nothing, before what comes next.

// commentPlace is where comments are taken from: a line, or a part of it.
type commentPlace struct {
	keepalived.Position
	word string
}

// comments are those that were written already, and those that wait for the block that several lines become.
type comments struct {
	taken    map[commentPlace]bool
	reserved map[commentPlace]bool
}

func newComments() *comments {
	return &comments{taken: map[commentPlace]bool{}, reserved: map[commentPlace]bool{}}
}

func isComment(s string) bool { return s != "" }

// take returns comments, once.
func (c *converter) take(at keepalived.Position, word string, above []string, trailing string) ([]string, string) {
	if trailing == "" && !slices.ContainsFunc(above, isComment) || c.comments == nil {
		return above, trailing
	}
	place := commentPlace{at, word}
	if c.comments.taken[place] {
		return nil, ""
	}
	c.comments.taken[place] = true
	return above, trailing
}

// value returns a line for a value in the block of another one.
func (l *line) value(v keepalived.Value) *line {
	n := &keepalived.Node{Position: v.Position, Keyword: l.Keyword, Args: v.Words, Uses: v.Uses}
	return &line{Node: n, parent: l.parent, c: l.c, comments: &v, mark: len(l.c.carried)}
}

// notes returns the comments of a line that becomes something: those carried to it, its own, and what was found about it.
func (l *line) notes() notes {
	if n := l.left; n != nil {
		n.above, l.left, l.c.carried = l.c.carried, nil, nil
		return *n
	}
	above, trailing := []string(nil), ""
	if v := l.comments; v != nil {
		above, trailing = l.c.take(v.Position, v.Words[0], v.Above, v.Trailing)
	} else {
		above, trailing = l.c.take(l.Position, l.Keyword, l.Above, l.Trailing)
	}
	mark := min(l.mark, len(l.c.carried))
	l.mark = 0
	n := notes{above: slices.Concat(l.c.carried[:mark], above, l.c.carried[mark:]), trailing: trailing, from: l.origin()}
	l.c.carried = nil
	return n
}

// headNotes returns the comments above a line, for the block that begins with what it becomes; those behind it are left for notes.
func (l *line) headNotes() notes {
	n := l.notes()
	l.left = &notes{trailing: n.trailing, from: n.from}
	n.trailing = ""
	return n
}

func (l *line) origin() origin { return origin{l.Position, l.parent, l.Keyword, l.Uses} }

// lines returns all comments.
func (n notes) lines() []string {
	if n.trailing == "" {
		return n.above
	}
	return append(slices.Clone(n.above), n.trailing)
}

// lines returns the comments in an item and in its block.
func (i item) lines() (all []string) {
	all = i.notes.lines()
	for _, line := range strings.Split(i.value, "\n") {
		text, comment, found := strings.Cut(line, trailingMark)
		switch above, is := strings.CutPrefix(line, "# "); {
		case is:
			all = append(all, above)
		case found:
			all = append(all, text+" # "+comment)
		}
	}
	if i.block == nil {
		return all
	}
	for _, inner := range i.block.items {
		all = append(all, inner.lines()...)
	}
	return all
}

// pass carries the comments of a block whose lines become something of their own to the first of them.
func (l *line) pass() {
	above, trailing := l.c.take(l.Position, l.Keyword, l.Above, l.Trailing)
	l.c.carry(above, trailing, "")
}

// carry keeps comments for what comes next. The text, if it is not empty, is the line that they are about.
func (c *converter) carry(above []string, trailing, text string) {
	if trailing == "" && !slices.ContainsFunc(above, isComment) {
		if len(c.carried) > 0 {
			c.carried = append(c.carried, above...)
		}
		return
	}
	c.carried = append(c.carried, above...)
	switch {
	case text != "" && trailing != "":
		c.carried = append(c.carried, text+" # "+trailing)
	case text+trailing != "":
		c.carried = append(c.carried, text+trailing)
	}
}

// flush writes the comments that are carried.
func (c *converter) flush(into *block) {
	if slices.ContainsFunc(c.carried, isComment) {
		into.comment(c.carried...)
	}
	c.carried = nil
}

// leftover carries the comments of a line, and of those in its block, that nothing took.
func (c *converter) leftover(n *keepalived.Node) {
	if c.comments == nil || c.comments.reserved[commentPlace{n.Position, n.Keyword}] {
		return
	}
	text := n.Text
	if len(n.Children) > 0 || len(n.Values) > 0 {
		text = ""
	}
	above, trailing := c.take(n.Position, n.Keyword, n.Above, n.Trailing)
	c.carry(above, trailing, text)
	for _, v := range n.Values {
		if above, trailing := c.take(v.Position, v.Words[0], v.Above, v.Trailing); trailing != "" || slices.ContainsFunc(above, isComment) {
			c.carry(above, trailing, strings.Join(v.Words, " "))
		}
	}
	c.carry(c.takeEnd(n), "", "")
	for _, child := range n.Children {
		c.leftover(child)
	}
}

// takeEnd returns the comments at the end of a block of values, once.
func (c *converter) takeEnd(n *keepalived.Node) []string {
	end, _ := c.take(n.Position, n.Keyword+" }", n.End, "")
	return end
}

// reserve keeps the comments of a block's lines for what is made of several of them.
func (c *converter) reserve(nodes []*keepalived.Node, keywords ...string) {
	if c.comments == nil {
		return
	}
	for _, n := range nodes {
		if slices.Contains(keywords, n.Keyword) {
			c.comments.reserved[commentPlace{n.Position, n.Keyword}] = true
		}
	}
}

// reservedNotes returns the comments of all lines with one of the keywords.
func (c *converter) reservedNotes(nodes []*keepalived.Node, keywords ...string) (all notes) {
	for _, n := range nodes {
		if !slices.Contains(keywords, n.Keyword) || c.comments == nil {
			continue
		}
		delete(c.comments.reserved, commentPlace{n.Position, n.Keyword})
		above, trailing := c.take(n.Position, n.Keyword, n.Above, n.Trailing)
		if all.from.Line == 0 {
			all.from = origin{n.Position, "", n.Keyword, nil}
		}
		all.from.uses = append(all.from.uses, n.Uses...)
		all.above = append(all.above, above...)
		switch {
		case all.trailing == "":
			all.trailing = trailing
		case trailing != "":
			all.above = append(all.above, trailing)
		}
		for _, v := range n.Values {
			above, trailing := c.take(v.Position, v.Words[0], v.Above, v.Trailing)
			if all.above = append(all.above, above...); trailing != "" {
				all.above = append(all.above, strings.Join(v.Words, " ")+" # "+trailing)
			}
		}
		all.above = append(all.above, c.takeEnd(n)...)
	}
	return all
}

// commented reports whether a line with a keyword has comments that were not written yet.
func (c *converter) commented(nodes []*keepalived.Node, keyword string) bool {
	return c.comments != nil && slices.ContainsFunc(nodes, func(n *keepalived.Node) bool {
		return n.Keyword == keyword && !c.comments.taken[commentPlace{n.Position, n.Keyword}] && (n.Trailing != "" || slices.ContainsFunc(n.Above, isComment))
	})
}
