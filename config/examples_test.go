package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExamples(t *testing.T) {
	readme, err := os.ReadFile("../examples/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths(t, "../examples/*.hcl") {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			priorities := map[uint8]bool{}
			for _, node := range []string{"lb1", "lb2"} {
				o := asLB1()
				o.Node = node
				cfg, diags := Load(path, o)
				if text := printed(t, diags); text != "" {
					t.Fatalf("as %s:\n%s", node, text)
				}
				for _, v := range cfg.VRRP {
					priorities[v.Priority] = true
				}
			}
			if len(priorities) == 1 {
				t.Error("both directors have the same priority")
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(Canonical(text), text) {
				t.Error("it is not in the canonical layout")
			}
			if !strings.Contains(string(readme), "- ["+name+"]("+name+"): ") {
				t.Error("examples/README.md has no line for it")
			}
		})
	}
}
