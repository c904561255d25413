package doctor_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCodesAreDocumented checks that exactly the existing codes are documented.
func TestCodesAreDocumented(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	inSource := regexp.MustCompile(`(?:Code: |f\.Code, f\.Why = |ok\(|advice\(|return )"([a-z0-9]+(?:-[a-z0-9]+)*)"[,]`)
	codes := map[string]bool{}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, m := range inSource.FindAllStringSubmatch(string(source), -1) {
			codes[m[1]] = true
		}
	}
	doc, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(doc), "## What it finds")
	documented := map[string]bool{}
	for line := range strings.Lines(tables) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " |")
		if !strings.HasPrefix(line, "| `") {
			first, _, _ = strings.Cut(line, ":")
		}
		if !strings.HasPrefix(first, "`") {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(first, -1) {
			documented[m[1]] = true
		}
	}
	if got, want := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(codes)); !slices.Equal(got, want) {
		t.Errorf("docs/doctor.md has\n%v\nthe source has\n%v", got, want)
	}
}
