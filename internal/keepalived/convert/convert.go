package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lvs-ha/lvs-ha/internal/keepalived"
)

// Options say what the configuration alone does not.
type Options struct {
	// ScriptUser is the user that keepalived runs scripts as if the configuration names none: keepalived_script if that user
	// exists, else root.
	ScriptUser string

	Tables map[string]uint32 // the routing tables' names on that host, except main, default and local
	// ReadScript returns the text of a script, or nil. If it is nil, scripts are not looked into.
	ReadScript func(path string) []byte
	// WithoutFiles leaves out what names files that cannot be read on this host.
	WithoutFiles bool
}

// Source is the configuration of a node.
type Source struct {
	Node   string // its name; may be "" if there is only one
	Config *keepalived.Config
}

// Result is a converted configuration.
type Result struct {
	HCL      []byte
	Findings []Finding // in the order of the sources; one or more for each line
	Err      error     // what makes it invalid nevertheless
}

// Convert converts the configurations of one or more nodes to one.
func Convert(sources []Source, o Options) *Result {
	var all []Finding
	var versions []version
	for _, s := range sources {
		root, findings := convert(s.Config, o)
		for i := range findings {
			findings[i].Node = s.Node
		}
		all = append(all, findings...)
		versions = append(versions, version{s.Node, root})
	}
	root := versions[0].block
	if len(versions) > 1 {
		root = merge(versions)
		if faults, _ := refusals(root.print(), sources, o.WithoutFiles); len(faults) > 0 {
			// A list that differs between nodes is one expression: what lvs-ha refuses of it can only be left out before.
			for i, v := range versions {
				all, _ = leaveOutRefused(v.block, sources[i:i+1], all, o.WithoutFiles)
			}
			root = merge(versions)
		}
	}
	return accepted(root, sources, all, o.WithoutFiles)
}

func convert(source *keepalived.Config, o Options) (*block, []Finding) {
	o.ScriptUser = cmp.Or(o.ScriptUser, "root")
	c := &converter{source: source, options: o, root: &block{}, comments: newComments(), tracks: map[string]string{}, names: map[string]bool{}, limited: map[string]bool{}, groupNames: map[string]bool{}}
	c.readGlobals()
	c.readInstances()
	c.readGroups()
	c.top()
	c.locals()
	c.problems()
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(c.fileIndex(a.File), c.fileIndex(b.File)), cmp.Compare(a.Line, b.Line))
	})
	return c.root, c.findings
}

type converter struct {
	program   string // whose configuration it is; "": keepalived
	words     words  // what becomes of its words; nil: table
	source    *keepalived.Config
	options   Options
	root      *block
	at        *keepalived.Node // the block at the top level
	findings  []Finding
	carried   []string // comments of lines that became nothing, for what comes next
	comments  *comments
	globals   globals
	instances map[string]*instance
	order     []*instance
	tracks    map[string]string // defined tracks: name → kind
	emailed   bool
	limited   map[string]bool       // interfaces of garp_groups
	limit     *block                // of the other interfaces
	groups    map[string][]endpoint // of virtual_server_group
	names     map[string]bool       // of virtual services

	groupNames map[string]bool // of sync groups that were converted
	lvs        bool            // there is a virtual service
	unchecked  bool            // the difference of virtual servers without alpha was reported
}

func (c *converter) fileIndex(file string) int { return slices.Index(c.source.Files, file) }

// line is a line of the source that is being converted.
type line struct {
	*keepalived.Node
	parent string
	c      *converter
	told   bool // a finding was recorded

	comments *keepalived.Value // whose comments are the line's; nil: its own
	mark     int               // of the carried comments, those that are not about the line
	left     *notes            // what is left of the comments, if the others were taken
}

// find records the fate of the line. A lossy fate also becomes a comment.
func (l *line) find(f Fate, format string, args ...any) {
	l.c.find(l.Position, l.parent, l.Keyword, f, fmt.Sprintf(format, args...))
	l.told = true
}

// doubt records the fate of a line that has the same effect in keepalived, but is probably a mistake.
func (l *line) doubt(f Fate, format string, args ...any) {
	l.find(f, format, args...)
	l.c.suspect()
}

// suspect marks the last finding.
func (c *converter) suspect() { c.findings[len(c.findings)-1].Suspect = true }

func (c *converter) find(at keepalived.Position, parent, keyword string, f Fate, text string) {
	c.findings = append(c.findings, Finding{Position: at, Block: parent, Word: keyword, Fate: f, Text: text})
	if f.Lossy() {
		c.carried = append(c.carried, fmt.Sprintf("%s's %s: %s", cmp.Or(c.program, "keepalived"), keyword, text))
	}
}

// set adds an attribute for the line.
func (l *line) set(b *block, name, value string) { b.set(name, value, l.notes()) }

// arg returns a word after the keyword, or "".
func (l *line) arg(i int) string {
	if i < len(l.Args) {
		return l.Args[i]
	}
	return ""
}

// each converts the lines of a block. What a line does not record itself comes from the table of words.
func (c *converter) each(parent string, nodes []*keepalived.Node, into *block, convert func(*line)) {
	for _, n := range nodes {
		if n.Keyword == "" {
			c.leftover(n)
			continue
		}
		l := &line{Node: n, parent: parent, c: c, mark: len(c.carried)}
		l.surplus()
		convert(l)
		l.byTable()
		own := c.carried[min(l.mark, len(c.carried)):]
		c.carried = slices.Clip(c.carried[:len(c.carried)-len(own)])
		c.leftover(n)
		c.carried = append(c.carried, own...)
	}
	c.flush(into)
}

// reads are how many words keepalived reads after a keyword.
var reads = map[string]int{
	"state": 1, "interface": 1, "virtual_router_id": 1, "priority": 1, "advert_int": 1, "preempt_delay": 1, "auth_type": 1, "auth_pass": 1,
	"delay_loop": 1, "lb_algo": 1, "lvs_sched": 1, "protocol": 1, "persistence_timeout": 1, "connect_port": 1, "connect_timeout": 1,
	"interval": 1, "rise": 1, "fall": 1, "path": 1, "virtual_server": 2, "real_server": 2, "sorry_server": 2,
}

// surplus says which words of a line keepalived does not read: they may have been meant as another line.
func (l *line) surplus() {
	most, is := reads[l.Keyword]
	if l.c.program != "" || !is || len(l.Args) <= most {
		return
	}
	text := fmt.Sprintf("keepalived reads only %s and ignores %q.", []string{1: "one word", 2: "two words"}[most], strings.Join(l.Args[most:], " "))
	l.c.find(l.Position, l.parent, l.Keyword, Ignored, text)
	l.c.suspect()
	l.c.carried = append(l.c.carried, l.Keyword+": "+text)
}

// byTable records the fate that the table of words says, unless the line has one.
func (l *line) byTable() {
	all := table
	if l.c.words != nil {
		all = l.c.words
	}
	l.timer()
	if w := all[l.parent][l.Keyword]; !l.told {
		l.find(cmp.Or(w.fate, Missing), "%s", cmp.Or(w.text, missingText(w.fate)))
	}
}

func missingText(f Fate) string {
	if f == "" || f == Missing {
		return "lvs-ha has no equivalent."
	}
	return ""
}

// superseded records that a later line overrides this one. keepalived lets the last line win.
func (l *line) superseded(nodes []*keepalived.Node, keywords ...string) bool {
	for i := len(nodes) - 1; i >= 0; i-- {
		if nodes[i] == l.Node {
			return false
		}
		if slices.Contains(keywords, nodes[i].Keyword) {
			l.find(Ignored, "Line %d overrides it.", nodes[i].Line)
			return true
		}
	}
	return false
}

// repeated records that an earlier line of this keyword is in force.
func (l *line) repeated(nodes []*keepalived.Node) bool {
	for _, n := range nodes {
		if n == l.Node {
			return false
		}
		if n.Keyword == l.Keyword {
			l.find(Ignored, "keepalived uses the first one, in line %d.", n.Line)
			return true
		}
	}
	return false
}

// top converts the file.
func (c *converter) top() {
	c.each("", c.source.Nodes, c.root, func(l *line) {
		c.at = l.Node
		switch l.Keyword {
		case "global_defs":
			c.globalDefs(l)
		case "vrrp_script":
			c.trackScript(l)
		case "track_file", "vrrp_track_file":
			c.trackFile(l)
		case "vrrp_track_process":
			c.trackProcess(l)
		case "vrrp_sync_group":
			c.syncGroup(l)
		case "vrrp_instance":
			c.instance(l)
		case "garp_group":
			c.garpGroup(l)
		case "static_ipaddress":
			c.staticAddresses(l)
		case "static_routes":
			c.routing(l, c.root, "static_route")
		case "static_rules":
			c.routing(l, c.root, "static_rule")
		case "SSL":
			c.each("SSL", l.Children, c.root, func(*line) {})
		case "virtual_server":
			c.virtualServer(l)
		case "virtual_server_group":
			c.serverGroup(l)
		}
	})
	c.root.comment(c.source.End...)
}

// invisible are characters that are no blanks for keepalived: a byte order mark, and non-breaking, zero-width and wide spaces.
const invisible = "\ufeff\u00a0\u202f\u200b\u3000"

// problems records what keepalived does not understand.
func (c *converter) problems() {
	template := slices.ContainsFunc(c.source.Problems, func(p keepalived.Problem) bool { return p.Code == keepalived.Template })
	marked := map[string]bool{} // texts that are repeated for each line after a mistake
	for _, p := range c.source.Problems {
		fate, text, word := Ignored, problemTexts[p.Code], firstWord(p.Subject)
		suspect := suspects[p.Code]
		switch p.Code {
		case keepalived.IncludeFailed:
			fate, word, text = Differs, "include", text+" "+p.Subject
		case keepalived.RandomValue, keepalived.EnvironmentValue, keepalived.TooMuch, keepalived.Template:
			fate = Differs
		case keepalived.UnknownKeyword:
			_, top := table[""][p.Subject]
			switch suspect = top; {
			case p.Meant != "" && !template:
				suspect = true
				text = fmt.Sprintf("keepalived does not know this word here and ignores the line; %s was probably meant.", p.Meant)
			case strings.ContainsAny(p.Subject, invisible):
				suspect = true
				text = "The word has an invisible character, such as a non-breaking space: keepalived does not know it and ignores the line."
			}
		}
		c.findings = append(c.findings, Finding{Position: p.Position, Word: word, Fate: fate, Text: text, Suspect: suspect && !fate.Lossy() && !marked[text]})
		marked[text] = p.Code == keepalived.ExtraBrace || p.Code == keepalived.UnknownKeyword
	}
}

// suspects are problems that change what the lines around them mean, or lose a line.
var suspects = map[keepalived.Code]bool{
	keepalived.MissingBrace: true, keepalived.ExtraBrace: true, keepalived.MissingEnd: true, keepalived.UnmatchedQuote: true, keepalived.LineTooLong: true,
	keepalived.NULByte: true, keepalived.InvalidSequence: true,
}

var problemTexts = map[keepalived.Code]string{
	keepalived.UnknownKeyword:   "keepalived does not know this word here and ignores the line.",
	keepalived.UnexpectedBrace:  "No block begins here: keepalived ignores the brace, and the next } ends the enclosing block.",
	keepalived.MissingBrace:     "The block has no {: keepalived reads it as if it were there.",
	keepalived.ExtraBrace:       "No block ends here: keepalived ignores the brace.",
	keepalived.MissingEnd:       "A } is missing at the end of the file.",
	keepalived.ExtraWords:       "keepalived ignores what stands between the keyword and the block.",
	keepalived.UnmatchedQuote:   "The closing quote is missing: keepalived ignores the rest of the line.",
	keepalived.LineTooLong:      "keepalived ignores lines of more than 1022 bytes.",
	keepalived.NULByte:          "keepalived ignores lines with a NUL byte.",
	keepalived.IncludeFailed:    "No file could be read:",
	keepalived.InvalidSequence:  "keepalived ignores this repetition: it is invalid.",
	keepalived.OtherNode:        "For another node: keepalived skips it here.",
	keepalived.RandomValue:      "keepalived chooses a value at each start; the smallest one was used.",
	keepalived.EnvironmentValue: "The value of the environment variable at the time of the import was used.",
	keepalived.Template:         "This looks like a template, or an undefined variable: keepalived reads its braces as blocks. Fill in the template first.",
	keepalived.TooMuch:          "The configuration is too long; what follows was not read.",
}

func firstWord(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(whitespace+"\n", r) }) // not at other blanks of Unicode
	if len(words) == 0 {
		return s
	}
	return words[0]
}
