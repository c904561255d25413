package config

import (
	"bytes"
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/lvs-ha/lvs-ha/internal/secret"
	"github.com/lvs-ha/lvs-ha/vrrp"
)

// minSecret is the length of the shortest text that is masked everywhere: masking shorter ones would make messages
// unreadable and hide little. At its position in the source, a secret of any length is masked.
const minSecret = 4

// secretHeader matches the names of HTTP headers with secret values.
var secretHeader = regexp.MustCompile(`(?i)auth|cookie|token|secret|pass|key`)

// secretLine matches the start of a line with a secret, up to the secret.
var secretLine = regexp.MustCompile(`(?i)(auth|cookie|token|secret|pass|key)[\w-]*"?\s*[=:]?\s*`)

// keyText matches a key of auth_hmac, wherever it was written by mistake: under another name, as a label, as a file's name, or in a
// file that cannot be parsed.
var keyText = regexp.MustCompile(`(?i)\bhex:[0-9a-f]{8,}|\b[0-9a-f]{64,}`)

// keyWidth is how far a key extends.
const keyWidth = len("hex:") + 2*vrrp.MaxAuthKey

// secrets collects texts that diagnostics must not contain: the journal has more readers than the configuration. It has
// values, and positions in the source that must be hidden even if their value is unknown because of an error in the
// expression.
type secrets struct {
	values map[string]bool
	places map[hcl.Range]bool
}

func newSecrets() secrets {
	return secrets{values: map[string]bool{}, places: map[hcl.Range]bool{}}
}

// add adds all texts in a value as secrets.
func (s *secrets) add(value cty.Value) {
	_ = cty.Walk(value, func(_ cty.Path, v cty.Value) (bool, error) {
		if v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
			s.addText(v.AsString())
		}
		return true, nil
	})
}

func (s *secrets) addText(text string) {
	if len(text) >= minSecret {
		s.values[text] = true
	}
}

// masker hides secrets in output.
type masker struct {
	inText   *strings.Replacer // replaces secrets with secret.Hidden
	inSource *strings.Replacer // replaces secrets with as many stars, to preserve positions
	longest  int
	guess    bool                   // also hide values that may be secret according to their names
	places   map[string][]hcl.Range // by file
}

// masker returns a masker for the secrets known so far.
func (s *secrets) masker() masker {
	m := masker{places: map[string][]hcl.Range{}}
	longestFirst := slices.SortedFunc(maps.Keys(s.values), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var words, stars []string
	for _, value := range longestFirst {
		quoted := strconv.Quote(value) // its form in messages
		words = append(words, value, secret.Hidden, quoted[1:len(quoted)-1], secret.Hidden)
		stars = append(stars, value, strings.Repeat("*", len(value)))
		m.longest = max(m.longest, len(value))
	}
	m.inText, m.inSource = strings.NewReplacer(words...), strings.NewReplacer(stars...)
	for place := range s.places {
		m.places[place.Filename] = append(m.places[place.Filename], place)
	}
	return m
}

// text masks the secrets in a text.
func (m masker) text(text string) string {
	if m.longest > 0 {
		text = m.inText.Replace(text)
	}
	return keyText.ReplaceAllLiteralString(text, secret.Hidden)
}

// source returns the bytes of a file from left to right with a star for each byte of a secret.
func (m masker) source(file string, src []byte, left, right int) []byte {
	visible := bytes.Clone(src[left:right])
	around := max(m.longest, keyWidth) // a secret may begin before this part, and end after it
	from, to := max(0, left-around), min(len(src), right+around)
	masked := string(src[from:to])
	if m.longest > 0 {
		masked = m.inSource.Replace(masked)
	}
	masked = keyText.ReplaceAllStringFunc(masked, func(key string) string { return strings.Repeat("*", len(key)) })
	copy(visible, masked[left-from:])
	if m.guess {
		if found := secretLine.FindIndex(visible); found != nil {
			for i := found[1]; i < len(visible); i++ {
				visible[i] = '*'
			}
		}
	}
	for _, place := range m.places[file] {
		for i := max(place.Start.Byte, left); i < min(place.End.Byte, right); i++ {
			visible[i-left] = '*'
		}
	}
	return visible
}

// secretFinder searches source for expressions that contain secrets.
type secretFinder struct {
	found     *secrets
	variables map[string]hcl.Expression // defaults
	locals    map[string]hcl.Expression
	values    map[string]cty.Value // of variables
	seen      map[hcl.Expression]bool
}

// body searches every attribute in a body and its blocks.
func (f *secretFinder) body(body hcl.Body) {
	native, ok := body.(*hclsyntax.Body)
	if !ok {
		return
	}
	for name, attribute := range native.Attributes {
		switch name {
		case "auth_pass", "secret", "password":
			f.expression(attribute.Expr)
		case "url":
			if value, _ := attribute.Expr.Value(nil); !isText(value) || secret.URL(value.AsString()).Redacted() != secret.URL(value.AsString()) {
				f.expression(attribute.Expr)
			}
		case "headers":
			f.headers(attribute.Expr)
		}
	}
	for _, block := range native.Blocks {
		f.body(block.Body)
	}
}

// headers hides the values of secret headers, or the whole expression if it is not a plain object.
func (f *secretFinder) headers(expr hcl.Expression) {
	pairs, diags := hcl.ExprMap(expr)
	if diags.HasErrors() {
		f.expression(expr)
		return
	}
	for _, pair := range pairs {
		if key, _ := pair.Key.Value(nil); isText(key) && !secretHeader.MatchString(key.AsString()) {
			continue
		}
		f.expression(pair.Value)
	}
}

func isText(value cty.Value) bool {
	return value.IsKnown() && !value.IsNull() && value.Type() == cty.String
}

// expression hides every literal text in an expression, and in the variables and local values that it references.
func (f *secretFinder) expression(expr hcl.Expression) {
	if f.seen[expr] {
		return
	}
	f.seen[expr] = true
	if word, ok := expr.(*hclsyntax.ScopeTraversalExpr); ok && len(word.Traversal) == 1 { // a text without quotes
		f.found.places[word.SrcRange] = true
		f.found.addText(word.Traversal.RootName())
	}
	if node, ok := expr.(hclsyntax.Node); ok {
		_ = hclsyntax.VisitAll(node, func(node hclsyntax.Node) hcl.Diagnostics {
			if literal, ok := node.(*hclsyntax.LiteralValueExpr); ok && literal.Val.Type() == cty.String {
				f.found.places[literal.SrcRange] = true
				f.found.add(literal.Val)
			}
			return nil
		})
	}
	for _, traversal := range expr.Variables() {
		if len(traversal) < 2 {
			continue
		}
		name, ok := traversal[1].(hcl.TraverseAttr)
		if !ok {
			continue
		}
		switch traversal.RootName() {
		case "var":
			if value, ok := f.values[name.Name]; ok {
				f.found.add(value)
			}
			if from, ok := f.variables[name.Name]; ok {
				f.expression(from)
			}
		case "local":
			if from, ok := f.locals[name.Name]; ok {
				f.expression(from)
			}
		}
	}
}
