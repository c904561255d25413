package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally counts top-level tests in test2json's events, and prints failures.
type tally struct {
	out     io.Writer
	verbose bool
	part    bool // of a package: the end of the package is no news, unless it failed

	mu                      sync.Mutex
	passed, skipped, failed int
	packages                int            // number of failed packages
	failedIn                map[string]int // tests and packages that failed, by package
	output                  map[string][]string
	took                    []duration // of each test
	broken                  []failure
}

// failure is a test that failed, or a package that failed otherwise.
type failure struct {
	name string
	why  []string // lines
}

// Limits of what is repeated of a failed test at the end, where a log that is cut still has it.
const (
	maxWhy      = 4 // lines of its beginning, and twice as many of its end
	maxWhyWidth = 200
	maxFailures = 12
)

// newFailure chooses some lines of a failed test's output.
func newFailure(name string, output []string) failure {
	var lines []string
	for line := range strings.Lines(strings.Join(output, "")) {
		line = strings.TrimRight(line, "\n")
		switch text := strings.TrimSpace(line); {
		case text == "", text == "FAIL", strings.HasPrefix(text, "=== "), strings.HasPrefix(text, "--- PASS"), strings.HasPrefix(text, "--- SKIP"):
		case len(line) > maxWhyWidth:
			lines = append(lines, line[:maxWhyWidth]+"…")
		default:
			lines = append(lines, line)
		}
	}
	if len(lines) > 3*maxWhy {
		lines = slices.Concat(lines[:maxWhy], []string{"…"}, lines[len(lines)-2*maxWhy:])
	}
	return failure{name, lines}
}

// failureList returns the failed tests with the reasons.
func failureList(all []failure) string {
	var b strings.Builder
	for _, f := range all[:min(maxFailures, len(all))] {
		fmt.Fprintln(&b, "failed:", f.name)
		for _, line := range f.why {
			fmt.Fprintln(&b, "   ", line)
		}
	}
	if more := len(all) - maxFailures; more > 0 {
		fmt.Fprintf(&b, "failed: %d more\n", more)
	}
	return b.String()
}

// duration is the duration of a test.
type duration struct {
	name    string
	seconds float64
}

// slowest lists the tests that took the most time, at most n.
func slowest(all []duration, n int) string {
	slices.SortStableFunc(all, func(a, b duration) int { return cmp.Compare(b.seconds, a.seconds) })
	var b strings.Builder
	for _, one := range all[:min(n, len(all))] {
		fmt.Fprintf(&b, "%7.1f s  %s\n", one.seconds, one.name)
	}
	return b.String()
}

// failures returns the number of failed tests and packages, in one package or in all.
func (t *tally) failures(importPath string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if importPath == "" {
		return t.failed + t.packages
	}
	return t.failedIn[importPath]
}

// add adds the results of a tally that is complete, and its output.
func (t *tally) add(one *tally, output []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = t.out.Write(output)
	if t.failedIn == nil {
		t.failedIn = map[string]int{}
	}
	t.passed, t.skipped, t.failed = t.passed+one.passed, t.skipped+one.skipped, t.failed+one.failed
	t.took, t.broken = append(t.took, one.took...), append(t.broken, one.broken...)
	for p, n := range one.failedIn {
		if t.failedIn[p] == 0 {
			t.packages++
		}
		t.failedIn[p] += n
	}
}

// sum writes a line about a package whose tests were added one by one.
func (t *tally) sum(importPath string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, seconds, action := 0, 0.0, "pass"
	for _, one := range t.took {
		if strings.HasPrefix(one.name, strings.TrimPrefix(importPath, module)+".") {
			n, seconds = n+1, seconds+one.seconds
		}
	}
	if t.failedIn[importPath] > 0 {
		action = "fail"
	}
	if n > 0 {
		fmt.Fprintf(t.out, "%s\t%s\t%d tests, %.1f s\n", action, importPath, n, seconds)
	}
}

// event is one line of `go tool test2json` and `go test -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // for build output
	Test       string
	Output     string
	Elapsed    float64
}

// read reads events until the end of r.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// Output of the go tool itself.
			fmt.Fprintln(t.out, lines.Text())
			continue
		}
		t.take(e)
	}
	return lines.Err()
}

func (t *tally) take(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.output == nil {
		t.output, t.failedIn = map[string][]string{}, map[string]int{}
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
		t.show(key) // all tests of a kind were requested: show why this one was skipped
	case "fail":
		t.failed++
		t.failedIn[e.Package]++
		t.broken = append(t.broken, newFailure(strings.TrimPrefix(e.Package, module)+"."+e.Test, t.output[key]))
		t.show(key)
	}
	t.took = append(t.took, duration{strings.TrimPrefix(e.Package, module) + "." + e.Test, e.Elapsed})
	delete(t.output, key)
}

func (t *tally) endPackage(e event, key string) {
	if e.Action == "fail" {
		t.packages++
		t.failedIn[e.Package]++
		name := strings.TrimPrefix(e.Package, module)
		known := slices.ContainsFunc(t.broken, func(f failure) bool { return f.name == name || strings.HasPrefix(f.name, name+".") })
		// After a panic or a timeout, some tests have no end event.
		for k := range t.output {
			if strings.HasPrefix(k, e.Package+" ") && k != key {
				t.show(k)
				t.broken = append(t.broken, newFailure(name+"."+strings.TrimPrefix(k, e.Package+" "), t.output[k]))
				delete(t.output, k)
				known = true
			}
		}
		if !known {
			t.broken = append(t.broken, newFailure(name, t.output[key]))
		}
		t.show(key)
	}
	if e.Action == "fail" || e.Action == "pass" && !t.part {
		fmt.Fprintf(t.out, "%s\t%s\t%.1f s\n", e.Action, e.Package, e.Elapsed)
	}
	delete(t.output, key)
}

func (t *tally) show(key string) {
	if !t.verbose {
		fmt.Fprint(t.out, strings.Join(t.output[key], ""))
	}
}

// summary prints an error and returns the last line about a kind of tests, and whether everything passed.
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
