package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var manDir = flag.String("man-dir", "", "write the man pages to this existing `directory`")

// TestManPages writes a man page for each command that the usage shows, and checks that they are complete. `make dist` calls
// it: this keeps the generator out of the program.
func TestManPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	root := newRoot()
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "8", Source: "lvs-ha", Manual: "lvs-ha"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		t.Fatal(err)
	}
	each(root, func(c *cobra.Command) {
		page := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".8"
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
			return
		}
		text = []byte(manOptions(c, string(text)))
		if err := os.WriteFile(filepath.Join(dir, page), text, 0o644); err != nil {
			t.Error(err)
		}
		for _, section := range []string{".SH NAME", ".SH SYNOPSIS"} {
			if !strings.Contains(string(text), section) {
				t.Errorf("%s has no %s", page, section)
			}
		}
		if strings.Contains(string(text), `\fP[=false]`) || strings.Contains(string(text), `\fP=`) {
			t.Errorf("%s has options in the generator's form:\n%s", page, text)
		}
	})
}

var manOption = regexp.MustCompile(`(?m)^((?:\\fB-.\\fP, )?\\fB--([a-z-]+)\\fP)(?:=|\[=).*$`)

// manOptions writes the options of a man page as the usage does: the generator has --undo[=false] for a flag, and --for= for an
// option with a value.
func manOptions(c *cobra.Command, text string) string {
	c.InitDefaultHelpFlag()
	return manOption.ReplaceAllStringFunc(text, func(line string) string {
		parts := manOption.FindStringSubmatch(line)
		f := c.Flag(parts[2])
		kind := f.Value.Type()
		if quoted := strings.Split(f.Usage, "`"); len(quoted) == 3 {
			kind = quoted[1]
		}
		option := parts[1]
		switch {
		case kind == "bool":
			return option
		case f.NoOptDefVal != "":
			option += `[=\fI` + kind + `\fP]`
		default:
			option += ` \fI` + kind + `\fP`
		}
		if f.DefValue != "" && f.DefValue != "0s" && f.DefValue != "[]" {
			option += " (default " + f.DefValue + ")"
		}
		return option
	})
}

// each calls f for each command that the usage shows.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			each(sub, f)
		}
	}
}
