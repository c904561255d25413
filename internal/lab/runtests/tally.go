package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// tally counts top-level tests out of test2json's events, and prints what went wrong.
type tally struct {
	out     io.Writer
	verbose bool

	passed, skipped, failed int
	packages                int // that failed
	output                  map[string][]string
}

// event is one line of `go tool test2json` and `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
	Elapsed    float64
}

// read takes events until the end of r.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// What the go tool itself says.
			fmt.Fprintln(t.out, lines.Text())
			continue
		}
		t.take(e)
	}
	return lines.Err()
}

func (t *tally) take(e event) {
	if t.output == nil {
		t.output = map[string][]string{}
	}
	top, _, sub := strings.Cut(e.Test, "/")
	key := e.Package + " " + top
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "output":
		t.output[key] = append(t.output[key], e.Output)
		if t.verbose {
			fmt.Fprint(t.out, e.Output)
		}
	case "pass", "fail", "skip":
		switch {
		case sub:
		case e.Test == "":
			t.endPackage(e, key)
		default:
			t.endTest(e, key)
		}
	}
}

func (t *tally) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
	case "fail":
		t.failed++
		t.show(key)
	}
	delete(t.output, key)
}

func (t *tally) endPackage(e event, key string) {
	if e.Action == "fail" {
		t.packages++
		// A panic or a timeout leaves tests without an end.
		for k := range t.output {
			if strings.HasPrefix(k, e.Package+" ") && k != key {
				t.show(k)
				delete(t.output, k)
			}
		}
		t.show(key)
	}
	if e.Action != "skip" {
		fmt.Fprintf(t.out, "%s\t%s\t%.1f s\n", e.Action, e.Package, e.Elapsed)
	}
	delete(t.output, key)
}

func (t *tally) show(key string) {
	if !t.verbose {
		fmt.Fprint(t.out, strings.Join(t.output[key], ""))
	}
}

// summary prints an error and returns the last line about a kind of tests, and whether all is well.
func (t *tally) summary(name string, err error, took time.Duration) (string, bool) {
	ok := "ok  "
	trouble := ""
	switch {
	case err != nil:
		fmt.Fprintln(t.out, err)
		first, _, _ := strings.Cut(err.Error(), "\n")
		trouble = ": " + first
	case t.failed > 0 || t.packages > 0:
		trouble = fmt.Sprintf(": %d packages failed", t.packages)
	case t.passed == 0:
		trouble = ": no test ran"
	}
	if trouble != "" {
		ok = "FAIL"
	}
	line := fmt.Sprintf("%s  %-6s  %4d passed  %3d failed  %3d skipped  %6.1f s%s",
		ok, name, t.passed, t.failed, t.skipped, took.Seconds(), trouble)
	return line, trouble == ""
}
