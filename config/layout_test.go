package config

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// FuzzCanonical compares the layout with that of package hclwrite, and checks that it keeps all words and is stable.
func FuzzCanonical(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.hcl", "../examples/*.hcl"} {
		for _, path := range paths(f, pattern) {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
			f.Add(bytes.ReplaceAll(text, []byte(" "), []byte("  ")))
			f.Add(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
			f.Add(bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("  "), nil), []byte(" = "), []byte("=")))
		}
	}
	for _, text := range []string{
		"",
		"# only this\n",
		"a=1 # one\nbcd=2// two\n\n\n  e   = 3 /* three */\n",
		"a \"b\" { # why\nc=1 # this\n  d = { e=1 }\n}\n",
		"a {}\nb { c = { } }\n",
		"é = 1 # two bytes\nee= \"日本\" # wide\n",
		"a = [\n-1,- 2,\n b-1, f( -1 )  ,!c , [for x in[1]:x if x!=2]...\n]\n",
		"a=b?c:-d\ne=[1][0]\ng=h[ \"i\" ].j [ 0 ]\nk = l::m(n...)\n",
		"a = \"x${ b }y${c}${ { d = 1 }[\"d\"] }%{ if e }f%{ endif }\"\n",
		"a = <<EOT\n  b\n c ${  d }\nEOT\ne=1\nf = g(<<-EOT\n   h\n   EOT\n)\n",
		"a {\nb = {\nc = [{\nd = 1\n}, {\n e = 2 }]\n}\n}\n",
		"a = f(\n[\n1 ]\n)\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<13 {
			return
		}
		if file := scan(text, ""); len(file.faults) > 0 {
			return // also for too deep nesting
		}
		if _, diags := parseText(text, "", hcl.InitialPos); diags.HasErrors() {
			return
		}
		got := Canonical(text)
		if again := Canonical(got); !bytes.Equal(got, again) && !isSplitString(text) {
			t.Errorf("formatted again, it changes:\n%q\n%q", got, again)
		}
		if before, after := words(text), words(got); before != after {
			t.Errorf("the words change:\n%s\n%s", before, after)
		}
		if bytes.HasSuffix(text, []byte("\n")) && !isSplitString(text) {
			if want := hclwrite.Format(text); !bytes.Equal(got, want) {
				t.Errorf("%q:\n%q, want\n%q", text, got, want)
			}
		}
	})
}

// TestFormatIsBounded formats a file whose comments would be moved far to the right.
func TestFormatIsBounded(t *testing.T) {
	text := "a = \"" + strings.Repeat("x", 1<<16) + "\" # long\n" + strings.Repeat("node {} #\n", 200)
	files, diags := FormatInput("it", strings.NewReader(text))
	if !diags.HasErrors() || len(files) > 0 {
		t.Error("it was formatted")
	}
	if files, diags = FormatInput("it", strings.NewReader(text[:1<<10])); !diags.HasErrors() || len(files) > 0 {
		t.Error("an unclosed string was formatted")
	}
	if _, diags = FormatInput("it", strings.NewReader(strings.Repeat("\n", maxBytes+1))); !diags.HasErrors() {
		t.Error("more than can be loaded was formatted")
	}
	if files, diags = FormatInput("it", strings.NewReader("\n\n")); diags.HasErrors() || len(files) != 1 || files[0].Changed() {
		t.Errorf("%v, %v", files, diags)
	}
}

// isSplitString reports whether a line of the layout continues a comment or the expression of a string, where hclwrite
// counts columns across lines.
func isSplitString(text []byte) bool {
	tokens, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos)
	depth := 0
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenNewline:
			if depth > 0 {
				return true
			}
		case hclsyntax.TokenComment:
			if depth > 0 || token.Range.Start.Line != token.Range.End.Line && !bytes.HasSuffix(token.Bytes, []byte("\n")) {
				return true
			}
		}
	}
	return false
}

// words returns the tokens of a text. A last line without end counts as one with it, unless it has only spaces.
func words(text []byte) string {
	if last := text[bytes.LastIndexByte(text, '\n')+1:]; len(bytes.Trim(last, " \t")) > 0 {
		text = append(bytes.Clone(text), '\n')
	}
	tokens, _ := hclsyntax.LexConfig(text, "", hcl.InitialPos)
	var b bytes.Buffer
	for _, token := range tokens {
		b.WriteString(token.Type.GoString() + " ")
		b.Write(token.Bytes)
		b.WriteByte('\n')
	}
	return b.String()
}
