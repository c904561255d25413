package realserver_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// All codes are documented, since scripts may use them.
func TestCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("inspect.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/realserver.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^\tCode\w+ += "([a-z0-9-]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(codes) < 10 {
		t.Fatalf("found only %d codes", len(codes))
	}
	_, table, _ := strings.Cut(string(doc), "## What `status` checks")
	for _, c := range codes {
		if !strings.Contains(table, "`"+c[1]+"`") {
			t.Errorf("docs/realserver.md does not document %s", c[1])
		}
	}
}
