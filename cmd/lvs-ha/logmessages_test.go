package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// computed has the messages that are not constants at the call that logs them, by the file of the call.
var computed = map[string][]string{
	"internal/director/changes.go": {}, // those that are passed to logRefused
	"vrrp/speaker/conflict.go": {
		"another router is master too and does not yield: it does not receive our adverts",
		"another router is master too, but its adverts do not arrive: a packet filter on this host drops them; allow protocol 112",
		"another router is master too, and its adverts are refused: make the settings of both equal",
		"another router advertises the address with another virtual_router_id: set the same on both",
		"another host answers for the virtual address",
	},
}

// TestLogMessages compares the messages that the program logs at WARN and ERROR with the table in docs/log-messages.md.
func TestLogMessages(t *testing.T) {
	logged := loggedMessages(t)
	page, err := os.ReadFile("../../docs/log-messages.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		if listed[row[1]] {
			t.Errorf("docs/log-messages.md lists %q twice", row[1])
		}
		listed[row[1]] = true
		if logged[row[1]] == "" {
			t.Errorf("docs/log-messages.md lists %q, which is not logged at WARN or ERROR", row[1])
		}
	}
	for message, at := range logged {
		if !listed[message] {
			t.Errorf("%s: %q is not in docs/log-messages.md", at, message)
		}
	}
	if len(logged) < 90 {
		t.Errorf("only %d messages were found", len(logged))
	}
}

// loggedMessages returns the messages that the program's source logs at WARN and ERROR, with a place of each.
func loggedMessages(t *testing.T) map[string]string {
	t.Helper()
	logged, files := make(map[string]string), token.NewFileSet()
	root := "../.."
	unused := make(map[string]bool)
	for file := range computed {
		unused[file] = true
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "e2e" || name == "internal/lab" || strings.HasPrefix(name, ".") && name != "." || entry.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			argument := logMessage(n)
			if argument == nil {
				return true
			}
			if literal, ok := argument.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				message, _ := strconv.Unquote(literal.Value)
				logged[message] = files.Position(n.Pos()).String()
				return true
			}
			if computed[name] == nil {
				t.Errorf("%s: the message is not a constant string", files.Position(n.Pos()))
			}
			delete(unused, name)
			source, _ := os.ReadFile(path)
			for _, message := range computed[name] {
				logged[message] = files.Position(n.Pos()).String()
				if strings.Contains(string(source), strconv.Quote(message)) {
					continue
				}
				t.Errorf("%s does not contain %q", name, message)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file := range unused {
		t.Errorf("%s logs only constant messages", file)
	}
	return logged
}

// logMessage returns the argument with the message if n logs at WARN or ERROR, or at a level that is computed.
func logMessage(n ast.Node) ast.Expr {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	of, _ := function.X.(*ast.Ident)
	switch function.Sel.Name {
	case "Warn", "Error":
		if len(call.Args) > 0 && (of == nil || of.Name != "http") {
			return call.Args[0]
		}
	case "logRefused":
		return call.Args[0]
	case "Log", "LogAttrs", "NewRecord":
		if len(call.Args) >= 3 {
			return call.Args[2]
		}
	}
	return nil
}
