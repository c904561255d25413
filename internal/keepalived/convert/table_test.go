package convert

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of words in docs/keepalived.md")

var fates = map[Fate]string{
	Same: "the same", Equivalent: "the same in effect", Ignored: "ignored", Differs: "**different**", Missing: "**missing**",
}

// TestWordsInTheDocs compares the tables of docs/keepalived.md with the program's.
func TestWordsInTheDocs(t *testing.T) {
	const path = "../../../docs/keepalived.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), "## Top level\n")
	if !found {
		t.Fatal(path + " has no heading \"Top level\"")
	}
	want := head + tables()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not up to date: go test ./internal/keepalived/convert -update", path)
	}
}

func tables() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(table)) {
		heading := "`" + name + "`"
		if name == "" {
			heading = "Top level"
		}
		fmt.Fprintf(&b, "## %s\n\n| word | fate | lvs-ha |\n| --- | --- | --- |\n", heading)
		for _, w := range slices.Sorted(maps.Keys(table[name])) {
			entry := table[name][w]
			becomes := entry.text
			if entry.into != "" {
				becomes = strings.TrimSpace("`" + entry.into + "` " + entry.text)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w, fates[entry.fate], becomes)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}
