package script

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOOMProtection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oom_score_adj")
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:min(len(text), 4)])
	}
	for _, value := range []string{"0\n", "500\n", ""} {
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		p := openOOMProtection(path)
		if p != nil {
			t.Errorf("%q is taken for protection", value)
		}
		called := false
		p.without(func() { called = true })
		if got := read(); !called || got != value {
			t.Errorf("called %t, and the file has %q instead of %q", called, got, value)
		}
	}
	if err := os.WriteFile(path, []byte("-900\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := openOOMProtection(path)
	if p == nil {
		t.Fatal("the protection is not found")
	}
	defer p.close()
	var within string
	p.without(func() { within = read() })
	if within[0] != '0' || read() != "-900" {
		t.Errorf("within %q, afterwards %q", within, read())
	}
}
