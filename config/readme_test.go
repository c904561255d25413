package config

import (
	"os"
	"regexp"
	"testing"
)

func TestREADMEConfigurationIsValidOnBothDirectors(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) == 0 {
		t.Fatal("there is none")
	}
	for _, block := range blocks {
		for _, node := range []string{"lb1", "lb2"} {
			if _, problems := LoadText("README.md", block[1], Options{Node: node}); problems.Err() != nil {
				t.Errorf("as %s: %v", node, problems.Err())
			}
		}
	}
}
