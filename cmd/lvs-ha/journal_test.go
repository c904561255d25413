package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// logged logs one line per level to a file, with the given JOURNAL_STREAM.
func logged(t *testing.T, format string, stream func(dev, inode uint64) string) (lines []string) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // the file is read by name
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", stream(uint64(stat.Dev), stat.Ino))
	flags := logFlags{level: "debug", format: format, worker: "director"}
	log, flush, err := flags.open(file)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("line")
	log.Info("line")
	log.With("of", "somebody").WithGroup("g").Warn("line", "text", "a\nb")
	log.Error("line")
	flush()
	complain(file, "first\nsecond")
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestJournalLinesHavePriorities(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var got []string
		for _, line := range logged(t, format, func(dev, inode uint64) string { return fmt.Sprintf("%d:%d", dev, inode) }) {
			got = append(got, regexp.MustCompile(`^(<\d>)?`).FindString(line))
		}
		if want := []string{"<7>", "<6>", "<4>", "<3>", "<3>", "<3>"}; !slices.Equal(got, want) {
			t.Errorf("%s: priorities %q, want %q", format, got, want)
		}
	}
}

func TestOtherLogsHaveNoPriorities(t *testing.T) {
	for name, stream := range map[string]func(dev, inode uint64) string{
		"no journal":     func(uint64, uint64) string { return "" },
		"another device": func(dev, inode uint64) string { return fmt.Sprintf("%d:%d", dev+1, inode) },
		"another file":   func(dev, inode uint64) string { return fmt.Sprintf("%d:%d", dev, inode+1) },
		"nonsense":       func(uint64, uint64) string { return "journal" },
	} {
		for _, line := range logged(t, "text", stream) {
			if strings.HasPrefix(line, "<") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}
