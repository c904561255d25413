package keepalived

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Node is a line with its keyword, and its block if it has one. Comments before the end of a block are a Node without a keyword.
type Node struct {
	Position
	Keyword  string
	Args     []string // the words after the keyword
	Text     string   // the line without its comment, for ParseScript
	Raw      bool     // keepalived reads Text with ParseScript, not Args
	Children []*Node  // of a block of keywords
	Values   []Value  // of a block of values
	End      []string // comments before the end of a block of values
	Above    []string // the comments before it; "" is an empty line
	Trailing string   // the comment behind it
	Uses     []string // the names of the definitions in it
}

// Definition is a line $NAME=VALUE.
type Definition struct {
	Position
	Name, Value string
	Above       []string
	Trailing    string
}

// Value is a line in a block of values, such as an address with its options.
type Value struct {
	Position
	Words    []string
	Above    []string
	Trailing string
	Uses     []string
}

// Config is what keepalived makes of its files.
type Config struct {
	Nodes    []*Node
	Problems []Problem // in the order of the lines
	Files    []string  // that were read
	End      []string  // comments after the last line
	Named    []string  // nodes with lines @NODE of their own, sorted

	Definitions []Definition // with a value of one line
}

// Options say how to read a configuration.
type Options struct {
	Node  string // what @NODE lines are compared with: keepalived's --config-id, by default the host's name up to the first dot
	Files Files  // nil: the file system
	lines int    // limit; 0: maxLines
}

// Read reads a configuration and what it includes. The error is about the first file.
func Read(path string, o Options) (*Config, error) {
	if o.Files == nil {
		o.Files = disk{}
	}
	p := &parser{config: &Config{}}
	p.lines = &lines{
		source: &source{files: o.Files, report: func(problem Problem) { p.config.Problems = append(p.config.Problems, problem) }},
		node:   o.Node, named: map[string]bool{}, defs: map[string]definition{}, limit: cmp.Or(o.lines, maxLines),
	}
	p.lines.defined = func(d Definition) { p.config.Definitions = append(p.config.Definitions, d) }
	p.lines.source.opened = func(path string) { p.config.Files = append(p.config.Files, path) }
	if err := p.lines.source.include(path); err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	p.config.Nodes = p.block(grammar, 0, &Node{})
	p.config.End = p.lines.above
	p.config.Named = slices.Sorted(maps.Keys(p.lines.named))
	if p.lines.depth > 0 {
		p.lines.problem(MissingEnd, "}")
	}
	return p.config, nil
}

type parser struct {
	lines  *lines
	config *Config
}

// block reads the lines of a block until its end. At level 0 there is no end but that of the files.
func (p *parser) block(b *block, level int, head *Node) (nodes []*Node) {
	begun := level == 0
	for {
		l, ok := p.lines.next()
		if !ok {
			return nodes
		}
		words := p.words(l, b)
		if len(words) == 0 {
			continue
		}
		if !begun {
			begun = true
			if words[0] == "{" {
				p.opened(head, l)
				continue
			}
			p.lines.problem(MissingBrace, words[0])
		} else if words[0] == "{" {
			p.lines.problem(UnexpectedBrace, "{")
			p.lines.keep(l, "")
			continue
		}
		if words[0] == "}" && level > 0 {
			if commented(l.above) {
				nodes = append(nodes, &Node{Position: l.Position, Above: l.above})
			}
			l.above = nil
			p.lines.keep(l, "")
			return nodes
		}
		sub, known := b.words[words[0]]
		if !known {
			if words[0] == "}" {
				p.lines.problem(ExtraBrace, words[0])
			} else {
				p.lines.source.report(Problem{Position: p.lines.at, Code: UnknownKeyword, Subject: words[0], Meant: b.meant(words[0])})
			}
			p.lines.keep(l, l.text)
			continue
		}
		n := &Node{
			Position: l.Position, Keyword: words[0], Args: words[1:], Text: l.text, Raw: b.raw[words[0]],
			Above: l.above, Trailing: l.trailing, Uses: l.uses,
		}
		nodes = append(nodes, n)
		switch {
		case sub == nil:
		case sub.values:
			n.Values = p.values(n)
		default:
			n.Children = p.block(sub, level+1, n)
		}
	}
}

// opened keeps the comments of the brace at the beginning of a block: what stands behind it is about the block.
func (p *parser) opened(head *Node, l line) {
	if head.Trailing == "" {
		head.Trailing, l.trailing = l.trailing, ""
	}
	p.lines.keep(l, "")
}

// words returns the words of a line. An unmatched quote matters only where keepalived does not read the line again.
func (p *parser) words(l line, b *block) []string {
	words, ok := split(l.text)
	if !ok && (len(words) < 2 || !b.raw[words[0]]) {
		p.lines.problem(UnmatchedQuote, l.text)
	}
	return words
}

// values reads a block of values.
func (p *parser) values(n *Node) (values []Value) {
	if len(n.Args) > 0 && n.Keyword != "virtual_server_group" {
		p.lines.problem(ExtraWords, n.Args[0])
	}
	for begun := false; ; begun = true {
		l, ok := p.lines.next()
		if !ok {
			return values
		}
		words := p.words(l, grammar)
		if len(words) == 0 {
			continue
		}
		if !begun {
			if words[0] == "{" {
				p.opened(n, l)
				continue
			}
			p.lines.problem(MissingBrace, n.Keyword)
		}
		if words[0] == "}" {
			if commented(l.above) {
				n.End, l.above = l.above, nil
			}
			p.lines.keep(l, "")
			return values
		}
		values = append(values, Value{Position: l.Position, Words: words, Above: l.above, Trailing: l.trailing, Uses: l.uses})
	}
}

// Keywords returns all keywords that keepalived 2.4 knows, by block; the top level is "". Blocks of values have none.
func Keywords() map[string][]string {
	all := map[string][]string{}
	var visit func(name string, b *block)
	visit = func(name string, b *block) {
		if all[name] != nil || b.values {
			return
		}
		for word, sub := range b.words {
			all[name] = append(all[name], word)
			if sub != nil {
				defer visit(word, sub)
			}
		}
		slices.Sort(all[name])
	}
	visit("", grammar)
	return all
}

// All returns the children with a keyword.
func (n *Node) All(keyword string) (found []*Node) {
	for _, c := range n.Children {
		if c.Keyword == keyword {
			found = append(found, c)
		}
	}
	return found
}

// Last returns the last child with one of the keywords: keepalived lets later lines win. It returns nil if there is none.
func (n *Node) Last(keyword ...string) *Node {
	for i := len(n.Children) - 1; i >= 0; i-- {
		if slices.Contains(keyword, n.Children[i].Keyword) {
			return n.Children[i]
		}
	}
	return nil
}

// disk reads from the file system.
type disk struct{}

const maxFile = 64 << 20 // bytes

func (disk) Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, os.ErrInvalid
	}
	if info.Size() > maxFile {
		return nil, os.ErrInvalid
	}
	return os.ReadFile(path)
}

func (disk) Glob(pattern string) ([]string, error) {
	var all []string
	for _, p := range braces(pattern) {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// maxPatterns bounds what the braces of a pattern become.
const maxPatterns = 1000

// braces returns the patterns that a pattern with {a,b} stands for.
func braces(pattern string) []string {
	out := []string{""}
	for pattern != "" {
		words, rest, ok := []string(nil), "", false
		if pattern[0] == '{' {
			words, rest, ok = group(pattern)
		}
		if !ok {
			words, rest = []string{pattern[:1]}, pattern[1:]
		}
		var next []string
		for _, o := range out {
			for _, w := range words {
				if len(next) < maxPatterns {
					next = append(next, o+w)
				}
			}
		}
		out, pattern = next, rest
	}
	return out
}
