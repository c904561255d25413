package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentedCommands parses each lvs-ha command in a code block of the documentation: its name and flags must exist.
// TestHostDocumentedCommands and TestKernelDocumentedCommands run them.
func TestDocumentedCommands(t *testing.T) {
	parsed := 0
	for page, commands := range documentedCommands(t) {
		for _, command := range commands {
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

// TestInlineCommands parses each lvs-ha command between backticks: in running text of the documentation, in the remedies of messages, in
// alerts. Some are only mentioned, without the arguments that they need.
func TestInlineCommands(t *testing.T) {
	inline := regexp.MustCompile("`lvs-ha ([^`\n]+)`")
	parsed := 0
	for _, pattern := range []string{
		"../../*.md", "../../docs/*.md", "../../docs/internals/*.md", "../../examples/*", "../../contrib/*/*", "../../packaging/*",
		"../../*/*.go", "../../*/*/*.go", "../../*/*/*/*.go",
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if strings.HasSuffix(path, "_test.go") || err != nil { // a directory
				continue
			}
			for _, found := range inline.FindAllStringSubmatch(string(text), -1) {
				parsed++
				if err := mentioned(shellCommands(found[1])[0]); err != nil {
					t.Errorf("%s: %s: %v", path, found[0], err)
				}
			}
		}
	}
	if parsed < 200 {
		t.Errorf("only %d commands were found", parsed)
	}
	for command, known := range map[string]bool{
		"drain": true, "run --script-capabilities": true, "failover --undo": true, "explain --replay --no-such": false, "status --undo": false, "upgrad": false, "version of": false,
	} {
		if err := mentioned(strings.Fields(command)); (err == nil) != known {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// mentioned parses a command that may end before its arguments, or the value of its last flag.
func mentioned(words []string) error {
	err := parseCommand(words)
	last := words[len(words)-1]
	switch {
	case err == nil:
	case strings.HasPrefix(last, "-") && parseCommand(append(slices.Clone(words), "1")) == nil:
		return nil
	case !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, "-") }):
		if command, rest, unknown := newRoot().Find(words); unknown == nil && len(rest) == 0 && command.HasParent() {
			return nil
		}
	}
	return err
}

// documentedCommands returns the arguments of the lvs-ha commands in the code blocks of each page.
func documentedCommands(t *testing.T) map[string][][]string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string][][]string{}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		fenced := false
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			if !fenced && !strings.HasPrefix(line, "    ") {
				continue
			}
			for _, words := range shellCommands(line) {
				if len(words) > 0 && words[0] == "setsid" {
					words = words[1:]
				}
				if len(words) > 1 && words[0] == "lvs-ha" {
					commands[page] = append(commands[page], words[1:])
				}
			}
		}
	}
	return commands
}

// shellCommands returns the words of each command in a line of shell, without comments and redirections.
func shellCommands(line string) (commands [][]string) {
	var words []string
	var word []byte
	inWord, file := false, false // file: the next word is that of a redirection
	endWord := func() {
		if inWord && !file {
			words = append(words, string(word))
		}
		file = file && !inWord
		word, inWord = nil, false
	}
	endCommand := func() {
		endWord()
		commands, words = append(commands, words), nil
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'' || c == '"':
			quoted, _, _ := strings.Cut(line[i+1:], string(c))
			word, inWord = append(word, quoted...), true
			i += len(quoted) + 1
		case c == '#' && !inWord:
			line = line[:i]
		case c == ' ' || c == '\t' || c == '\n':
			endWord()
		case strings.IndexByte("|;&()", c) >= 0:
			endCommand()
		case c == '<' || c == '>':
			inWord = inWord && strings.Trim(string(word), "0123456789") != "" // else a file descriptor
			endWord()
			file = true
			i += len(line[i+1:]) - len(strings.TrimLeft(line[i+1:], "<>&"))
		default:
			word, inWord = append(word, c), true
		}
	}
	endCommand()
	return commands
}

// parseCommand finds the command and parses its flags, without running it.
func parseCommand(arguments []string) error {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	command, rest, err := root.Find(arguments)
	if err != nil || command.DisableFlagParsing {
		return err
	}
	command.InitDefaultHelpFlag()
	if err := command.ParseFlags(rest); err != nil {
		return err
	}
	if help, err := command.Flags().GetBool("help"); help && err == nil {
		return nil
	}
	return command.ValidateArgs(command.Flags().Args())
}
