package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// runFuzz runs each fuzz target for a limited time. A target counts as a test.
func runFuzz(ctx context.Context, o options, t *tally) error {
	packages, err := findTests(ctx, o.packages, "Fuzz")
	if err != nil {
		return err
	}
	packages, err = o.fuzzing.of(packages)
	if err != nil {
		return err
	}
	found, err := o.command(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return err
	}
	for _, p := range packages {
		// The directory in which `go test -fuzz` keeps interesting inputs.
		cache := filepath.Join(string(bytes.TrimSpace(found)), "fuzz", p.ImportPath)
		for _, target := range p.functions {
			start := time.Now()
			cmd := o.command(ctx, o.fuzzing[p.ImportPath].path, "-test.run=^$", "-test.fuzz=^"+target+"$", "-test.fuzztime="+o.fuzz,
				"-test.fuzzminimizetime=1x", "-test.fuzzcachedir="+cache)
			cmd.Dir = p.Dir
			out, err := cmd.CombinedOutput()
			action := "pass"
			if err != nil {
				action = "fail"
				out = append(out, failingInputs(out, p.Dir, cache)...)
			}
			took := time.Since(start).Seconds()
			t.take(event{Action: "output", Package: p.ImportPath, Test: target, Output: string(out)})
			t.take(event{Action: action, Package: p.ImportPath, Test: target, Elapsed: took})
			t.take(event{Action: action, Package: p.ImportPath + "." + target, Elapsed: took})
		}
	}
	return errors.Join(ctx.Err(), err)
}

// failingInput finds the input's file in the output of a fuzz target: its path, or its name in the corpus.
var failingInput = regexp.MustCompile(`(?:Failing input written to testdata/fuzz/|seed corpus entry: )(\w+/[0-9a-zA-Z_.-]+)`)

// maxInput limits how much of an input is printed.
const maxInput = 8 << 10

// failingInputs returns the contents of the files with failing inputs, for readers who have the output but not the files.
func failingInputs(out []byte, dir, cache string) string {
	var text string
	seen := map[string]bool{}
	for _, match := range failingInput.FindAllSubmatch(out, -1) {
		name := string(match[1])
		if seen[name] {
			continue
		}
		seen[name] = true
		for _, path := range []string{filepath.Join(dir, "testdata/fuzz", name), filepath.Join(cache, name)} {
			content, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			rest := ""
			if len(content) > maxInput {
				rest = fmt.Sprintf("\n... %d more bytes", len(content)-maxInput)
				content = content[:maxInput]
			}
			text += fmt.Sprintf("failing input %s:\n%s%s\n", path, bytes.TrimRight(content, "\n"), rest)
			break
		}
	}
	return text
}
