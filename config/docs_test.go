package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// TestDocumentedConfigurations checks that the configurations in the documentation have no syntax error, and that those which a
// new user copies are valid on both directors.
func TestDocumentedConfigurations(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	complete := map[string]bool{"../README.md": true, "../docs/getting-started.md": true}
	fenced, checked := regexp.MustCompile("(?s)```hcl\n(.*?)```"), 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fenced.FindAllSubmatch(text, -1) {
			if _, diags := hclsyntax.ParseConfig(block[1], page, hcl.InitialPos); diags.HasErrors() {
				t.Errorf("%s: %v", page, diags)
			}
			if !complete[page] {
				continue
			}
			checked++
			for _, node := range []string{"lb1", "lb2"} {
				if _, problems := LoadText(page, block[1], Options{Node: node}); problems.Err() != nil {
					t.Errorf("as %s: %v", node, problems.Err())
				}
			}
		}
	}
	if checked < 3 {
		t.Errorf("%d complete configurations", checked)
	}
}
