package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// limits are errors that HCL's parser does not report.
var limits = []string{"Too large", "Too deep", "Expression too long", "Invalid number"}

// tree formats a syntax tree with the position of each node, in file order.
func tree(body *hclsyntax.Body) []string {
	var lines []string
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		switch node := node.(type) {
		case *hclsyntax.Body, hclsyntax.Attributes, hclsyntax.Blocks:
		case *hclsyntax.Block:
			lines = append(lines, fmt.Sprintf("%08d block %s %q %s %s", node.TypeRange.Start.Byte, node.Type, node.Labels, node.OpenBraceRange, node.CloseBraceRange))
		case *hclsyntax.LiteralValueExpr:
			lines = append(lines, fmt.Sprintf("%08d literal %#v %s", node.SrcRange.Start.Byte, node.Val, node.SrcRange))
		case *counted:
		default:
			lines = append(lines, fmt.Sprintf("%08d %T %s", node.Range().Start.Byte, node, node.Range()))
		}
		return nil
	})
	slices.Sort(lines)
	return lines
}

// checkScan compares the scanner and parsing in pieces with HCL's own parser.
func checkScan(t *testing.T, text []byte) {
	t.Helper()
	whole, wholeDiags := hclsyntax.ParseConfig(text, "a.hcl", hcl.InitialPos)
	scanned := scanPieces(text, "a.hcl", 5)
	for _, fault := range scanned.faults {
		if fault.Summary == "Not UTF-8" && !utf8.Valid(text) {
			continue // HCL's lexer accepts such bytes within a name
		}
		if !wholeDiags.HasErrors() && !slices.Contains(limits, fault.Summary) {
			t.Fatalf("the scanner refuses what HCL takes: %s", fault)
		}
	}
	if len(scanned.faults) > 0 {
		return
	}
	tokens, _ := hclsyntax.LexConfig(text, "a.hcl", hcl.InitialPos)
	if len(tokens) > 2*scanned.tokens+10 {
		t.Fatalf("HCL has %d tokens, the scanner counted %d", len(tokens), scanned.tokens)
	}
	file := &sourceFile{name: "a.hcl", text: text, pieces: scanned.pieces, blocks: scanned.blocks}
	var src source
	var lines []string
	var diags hcl.Diagnostics
	names := map[string]bool{}
	for _, p := range file.pieces {
		parsed, pieceDiags := parsePiece(file, p)
		body, pieceDiags := src.part(file, p, parsed, pieceDiags)
		if body.stream != nil {
			pieceDiags = append(pieceDiags, body.stream.whole()...)
		}
		diags = append(diags, pieceDiags...)
		lines = append(lines, tree(body.Body)...)
		for name, attribute := range body.Attributes {
			if names[name] { // HCL's parser rejects it; here the schema does, which has no attributes there
				diags = append(diags, problem(attribute.NameRange, "Attribute redefined", ""))
			}
			names[name] = true
		}
	}
	if diags.HasErrors() != wholeDiags.HasErrors() {
		t.Fatalf("whole: %v\nin pieces: %v", wholeDiags, diags)
	}
	if diags.HasErrors() {
		return
	}
	if diff := cmp.Diff(tree(whole.Body.(*hclsyntax.Body)), lines); diff != "" {
		t.Fatalf("the whole and its %d pieces differ:\n%s", len(file.pieces), diff)
	}
}

func FuzzScan(f *testing.F) {
	maxArguments = 1 << 20 // so that nothing is left out
	for _, pattern := range []string{"testdata/valid/*.hcl", "testdata/invalid/*.hcl", "../examples/*.hcl"} {
		for _, path := range paths(f, pattern) {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
			f.Add([]byte(strings.ReplaceAll(string(text), "\n", "\r\n")))
		}
	}
	for _, text := range []string{
		"a {\n  b = <<EOT\nx ${\"}\"} } {\n  EOT\n  c = \"${ { a = 1 } }\"\n}\n/* { */\nb {}\n",
		"a = <<-X\n$${ %%{ $ % ${1}\nX\nb = 1\n", "a \"x\" {\n} # c\nb = [\n1,\n2\n]\n", "a { b = 1 }\nc {\n  d {\n  }\n  e = 1 }\n",
		"a {\n b = 1\n} c\n", "/* x\n y */ a = 1\n", "a = \"$\"\nb = \"%\"\nc = \"$$\"\nd = \"$$${1}\"\n", "a = \"\\\"\\u00e9\"\n",
		"a = \"%{ if true ~} x %{ else }y%{ endif }\"\n", "a = 1 ? 2 : 3 # {\nb = -1.5\nc=a.b.0.c\nd = a[*].b\n", "\ufeffa = 1\n",
		"a {\n  b {\n    c = 1\n  }\n\n  d = <<X\n}\nX\n  e = 1\n  f = 2\n  g = 3\n}", "ä = 1\n日本 {\n}\n", "a = 5m\n", "a = <<X\nX", "a\n{\n}\n",
		"a {\n b = 1\n b = 2\n c = 3\n d = 4\n b = 5\n}\n", "a {\n}}\n", "a = (\n1\n)\n", "a = x::y(1...)\n", "a = {b=1\nc=2}\nd = 4\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 1<<14 {
			checkScan(t, text)
		}
	})
}
