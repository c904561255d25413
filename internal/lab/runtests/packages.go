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

// wordEnd matches what may follow a prefix in a test's name, so that TestHostname is not a TestHost.
const wordEnd = `([^a-z].*)?$`

// findTests lists the packages of a pattern that have test functions whose names start with prefix as a word.
func findTests(ctx context.Context, packages, prefix string) ([]testPackage, error) {
	return findInFiles(ctx, packages, prefix, func([]byte) bool { return true })
}

// withoutRace is the build constraint of files whose tests measure quantities that the race detector increases.
var withoutRace = regexp.MustCompile(`(?m)^//go:build !race$`)

// findPlain lists the packages with matching tests that are excluded from builds with the race detector, and the pattern of
// those tests.
func findPlain(ctx context.Context, o options) ([]testPackage, string, error) {
	run, sub, _ := strings.Cut(o.run, "/")
	wanted, err := regexp.Compile(run)
	if err != nil {
		return nil, "", fmt.Errorf("the tests to run: %w", err)
	}
	all, err := findInFiles(ctx, o.packages, `Test\w*`, withoutRace.Match)
	var found []testPackage
	var names []string
	for _, p := range all {
		p.functions = slices.DeleteFunc(p.functions, func(name string) bool { return !wanted.MatchString(name) })
		if len(p.functions) > 0 {
			found = append(found, p)
			names = append(names, p.functions...)
		}
	}
	if len(found) == 0 {
		return nil, "", err
	}
	pattern := "^(" + strings.Join(names, "|") + ")$"
	if sub != "" {
		pattern += "/" + sub
	}
	return found, pattern, err
}

func findInFiles(ctx context.Context, packages, prefix string, wanted func(source []byte) bool) ([]testPackage, error) {
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
			if !wanted(source) {
				continue
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

// mostFirst returns the packages in order of their number of tests. Whoever runs them at the same time takes the next one when
// it has finished one, and the last ones should be short.
func mostFirst(packages []testPackage) []testPackage {
	return slices.SortedStableFunc(slices.Values(packages), func(a, b testPackage) int { return len(b.functions) - len(a.functions) })
}

func importPaths(packages []testPackage) []string {
	var out []string
	for _, p := range packages {
		out = append(out, p.ImportPath)
	}
	return out
}
