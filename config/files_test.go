package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDigest: it is that of the files' texts, wherever they are and whatever the node.
func TestDigest(t *testing.T) {
	digest := func(node string, texts ...string) string {
		t.Helper()
		dir := t.TempDir()
		for i, text := range texts {
			if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".hcl"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg, diags := Load(dir, Options{Node: node})
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		return cfg.Digest
	}
	one := digest("lb1", "locals {}\n", "# end\n")
	if one == "" || digest("lb2", "locals {}\n", "# end\n") != one {
		t.Errorf("%q differs between nodes with the same files", one)
	}
	for _, other := range [][]string{{"locals {}\n# end\n"}, {"locals {}\n", "# End\n"}, {"locals {}\n# end\n", ""}} {
		if digest("lb1", other...) == one {
			t.Errorf("%q has the same digest", other)
		}
	}
}
