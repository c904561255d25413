package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedCommands parses each lvs-ha command in a code block of the documentation: its name and flags must exist.
func TestDocumentedCommands(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	parsed := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range documentedCommands(string(text)) {
			parsed++
			if err := parseCommand(command); err != nil {
				t.Errorf("%s: lvs-ha %s: %v", page, strings.Join(command, " "), err)
			}
		}
	}
	if parsed < 80 {
		t.Errorf("only %d commands were found", parsed)
	}
	for _, command := range [][]string{{"statu"}, {"status", "--no-such-flag"}, {"upgrade", "argument"}} {
		if parseCommand(command) == nil {
			t.Errorf("lvs-ha %v is accepted", command)
		}
	}
}

// documentedCommands returns the arguments of the lvs-ha commands in the code blocks of a page.
func documentedCommands(page string) [][]string {
	var commands [][]string
	quoted, comment := regexp.MustCompile(`'[^']*'|"[^"]*"`), regexp.MustCompile(`(^|\s)#.*`)
	separator := regexp.MustCompile(`[|;&(]|\s\d*[<>]`)
	fenced := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			continue
		}
		line = comment.ReplaceAllString(quoted.ReplaceAllString(line, "quoted"), "")
		for _, part := range separator.Split(line, -1) {
			words := strings.Fields(strings.TrimPrefix(part, "setsid "))
			if len(words) > 1 && words[0] == "lvs-ha" {
				commands = append(commands, words[1:])
			}
		}
	}
	return commands
}

// parseCommand finds the command and parses its flags, without running it.
func parseCommand(arguments []string) error {
	command, rest, err := newRoot().Find(arguments)
	if err != nil || command.DisableFlagParsing {
		return err
	}
	if err := command.ParseFlags(rest); err != nil {
		return err
	}
	return command.ValidateArgs(command.Flags().Args())
}
