package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// testPackage is a package that has test functions of the wanted name.
type testPackage struct {
	ImportPath string
	Dir        string
	functions  []string
}

// wordEnd is what may follow a prefix in a test's name, so that TestHostname is not a TestHost.
const wordEnd = `([^a-z].*)?$`

// findTests lists the packages out of a pattern with test functions whose names start with prefix as a word.
func findTests(ctx context.Context, packages, prefix string) ([]testPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles", packages)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	function := regexp.MustCompile(`(?m)^func (` + prefix + `\w*)\(\w+ \*testing\.`)
	whole := regexp.MustCompile("^" + prefix + wordEnd)
	var found []testPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct {
			testPackage
			TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		for _, file := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			source, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				return nil, err
			}
			for _, match := range function.FindAllSubmatch(source, -1) {
				if whole.Match(match[1]) {
					p.functions = append(p.functions, string(match[1]))
				}
			}
		}
		if len(p.functions) > 0 {
			found = append(found, p.testPackage)
		}
	}
}

func importPaths(packages []testPackage) []string {
	var out []string
	for _, p := range packages {
		out = append(out, p.ImportPath)
	}
	return out
}
