package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	events := func(lines ...string) string { return strings.Join(lines, "\n") }
	tests := []struct {
		name, in string
		err      error
		ok       bool
		summary  string
		output   []string
		hidden   []string
		again    string // at the end
	}{{
		name: "all well",
		in: events(
			`{"Action":"run","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}`,
			`{"Action":"pass","Package":"p","Test":"TestA/sub"}`,
			`{"Action":"pass","Package":"p","Test":"TestA"}`,
			`{"Action":"skip","Package":"p","Test":"TestB"}`,
			`{"Action":"pass","Package":"p","Elapsed":1.5}`),
		ok: true, summary: "ok    host       1 passed    0 failed    1 skipped     2.0 s",
		output: []string{"pass\tp\t1.5 s"}, hidden: []string{"chatter"},
	}, {
		name: "a test fails",
		in: events(
			`{"Action":"output","Package":"p","Test":"TestA/sub","Output":"why\n"}`,
			`{"Action":"fail","Package":"p","Test":"TestA/sub"}`,
			`{"Action":"fail","Package":"p","Test":"TestA"}`,
			`{"Action":"fail","Package":"p"}`),
		summary: "FAIL  host       0 passed    1 failed    0 skipped     2.0 s: 1 packages failed",
		output:  []string{"why", "fail\tp"},
		again:   "failed: p.TestA\n    why\n",
	}, {
		name: "a panic leaves a test without an end",
		in: events(
			`{"Action":"run","Package":"p","Test":"TestA"}`,
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}`,
			`{"Action":"fail","Package":"p"}`),
		summary: "FAIL  host       0 passed    0 failed    0 skipped     2.0 s: 1 packages failed",
		output:  []string{"panic: oh"},
		again:   "failed: p.TestA\n    panic: oh\n",
	}, {
		name: "a package does not build",
		in: events(
			`{"Action":"build-output","ImportPath":"p","Output":"p.go:1: syntax error\n"}`,
			`{"Action":"build-fail","ImportPath":"p"}`,
			`{"Action":"fail","Package":"p"}`),
		summary: "FAIL  host       0 passed    0 failed    0 skipped     2.0 s: 1 packages failed",
		output:  []string{"p.go:1: syntax error"},
		again:   "failed: p\n",
	}, {
		name: "nothing ran, and it says why",
		in: events(
			`{"Action":"output","Package":"p","Test":"TestA","Output":"not here\n"}`,
			`{"Action":"skip","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p"}`),
		summary: "FAIL  host       0 passed    0 failed    1 skipped     2.0 s: no test ran",
		output:  []string{"not here"},
	}, {
		name:    "it could not run",
		err:     errors.New("no kernel\nand more"),
		summary: "FAIL  host       0 passed    0 failed    0 skipped     2.0 s: no kernel",
		output:  []string{"no kernel\nand more"},
	}, {
		name:    "the go tool speaks plainly",
		in:      events("go: no such module", `{"Action":"pass","Package":"p","Test":"TestA"}`),
		ok:      true,
		summary: "ok    host       1 passed    0 failed    0 skipped     2.0 s",
		output:  []string{"go: no such module"},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			tally := &tally{out: &out}
			if err := tally.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			summary, ok := tally.summary("host", tt.err, 2*time.Second)
			if ok != tt.ok || summary != tt.summary {
				t.Errorf("summary is %q, %v, want %q, %v", summary, ok, tt.summary, tt.ok)
			}
			if got := failureList(tally.broken); got != tt.again {
				t.Errorf("what failed is %q, want %q", got, tt.again)
			}
			for _, want := range tt.output {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
			for _, not := range tt.hidden {
				if strings.Contains(out.String(), not) {
					t.Errorf("the output has %q:\n%s", not, out.String())
				}
			}
		})
	}
}

// TestPanicIsShown converts the output of a program that ends in the middle of a test.
func TestPanicIsShown(t *testing.T) {
	var out strings.Builder
	tally := &tally{out: &out, part: true}
	err := convert(t.Context(), tally, "p", func(w io.Writer) (int, error) {
		_, err := io.WriteString(w, "\x16=== RUN   TestA\npanic: test timed out after 5m0s\n\ngoroutine 8 [running]:\n")
		return 2, err
	})
	if err != nil || tally.failures("") != 1 || !strings.Contains(out.String(), "goroutine 8") {
		t.Errorf("%v, %d failures:\n%s", err, tally.failures(""), out.String())
	}
	if text := failureList(tally.broken); !strings.Contains(text, "failed: p.TestA\n") || !strings.Contains(text, "timed out") {
		t.Errorf("%q", text)
	}
}

// TestLongFailure repeats the beginning and the end of a failed test's output, and no progress.
func TestLongFailure(t *testing.T) {
	output := []string{"=== RUN   TestA\n", "    a_test.go:1: first\n", "--- PASS: TestA/one (0.00s)\n"}
	for range 100 {
		output = append(output, strings.Repeat("x", 2*maxWhyWidth)+"\n")
	}
	why := newFailure("p.TestA", append(output, "last", "\n")).why
	if len(why) != 3*maxWhy+1 || why[0] != "    a_test.go:1: first" || why[len(why)-1] != "last" || len(why[1]) > maxWhyWidth+len("…") {
		t.Errorf("%q", why)
	}
	if text := failureList(slices.Repeat([]failure{{name: "p.TestA"}}, maxFailures+2)); !strings.HasSuffix(text, "failed: 2 more\n") {
		t.Errorf("%q", text)
	}
}

func TestFindTests(t *testing.T) {
	t.Chdir("../../..")
	found, err := findTests(t.Context(), "./internal/lab/...", "TestTally")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || len(found[0].functions) != 1 || !strings.HasSuffix(found[0].ImportPath, "/runtests") {
		t.Errorf("found %+v, want this package's one TestTally", found)
	}
	if found, err := findTests(t.Context(), "./internal/lab/...", "TestTal"); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v, though the name does not end there", found, err)
	}
}
