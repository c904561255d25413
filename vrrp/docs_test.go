package vrrp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDocsNameEverything checks that every reason that can appear in a log is documented.
func TestDocsNameEverything(t *testing.T) {
	text, err := os.ReadFile("../docs/vrrp.md")
	if err != nil {
		t.Fatal(err)
	}
	has := func(what, name string) {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/vrrp.md: no row for the %s %s", what, name)
		}
	}
	for r := NotDropped + 1; r < DropReasons; r++ {
		has("drop reason", r.String())
	}
	for _, s := range []State{Initialize, Backup, Master, Leaving} {
		has("state", string(s))
	}
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, v := range spec.Values {
			name, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found++
			has("reason", name)
		}
		return true
	})
	if found < 15 {
		t.Errorf("only %d reasons found in reason.go", found)
	}
}
