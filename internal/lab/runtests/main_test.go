package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSideBySide(t *testing.T) {
	for asked, want := range map[string][][][]string{
		"unit fuzz host kernel pair": {{{"kernel"}, {"fuzz", "unit"}}, {{"host"}}, {{"pair"}}},
		"unit proof fuzz kernel":     {{{"kernel"}, {"fuzz", "unit"}, {"proof"}}},
		"unit proof kernel host":     {{{"kernel"}, {"unit"}, {"proof"}}, {{"host"}}},
		"unit fuzz":                  {{{"unit"}}, {{"fuzz"}}},
		"host kernel":                {{{"host"}}, {{"kernel"}}},
		"kernel":                     {{{"kernel"}}},
	} {
		if diff := cmp.Diff(want, sideBySide(strings.Fields(asked))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", asked, diff)
		}
	}
}

func TestPrefixed(t *testing.T) {
	var out strings.Builder
	var mu sync.Mutex
	a, b := &prefixed{mu: &mu, out: &out, prefix: "a "}, &prefixed{mu: &mu, out: &out, prefix: "b "}
	for _, w := range []struct {
		to   *prefixed
		text string
	}{{a, "one "}, {b, "two\nthree\n"}, {a, "line\nnext"}, {b, ""}, {a, "\n"}} {
		if n, err := w.to.Write([]byte(w.text)); n != len(w.text) || err != nil {
			t.Errorf("wrote %d bytes of %q: %v", n, w.text, err)
		}
	}
	if want := "b two\nb three\na one line\na next\n"; out.String() != want {
		t.Errorf("the output is %q, want %q", out.String(), want)
	}
}

func TestConclusion(t *testing.T) {
	results := map[string]*result{"unit": {line: "unit's", ok: true}, "host": {line: "host's", ok: false}}
	for i := range 12 {
		results["unit"].tests = append(results["unit"].tests, duration{"test", float64(i)})
	}
	var out strings.Builder
	if summarize([]string{"unit", "host"}, results, &out) {
		t.Error("all is well though a kind failed")
	}
	if got := out.String(); strings.Count(got, " s  test\n") != 10 || !strings.Contains(got, "tests:\n   11.0 s") || !strings.HasSuffix(got, "\nunit's\nhost's\n") {
		t.Errorf("the end of the output is\n%s", got)
	}
}

func TestFailingInputs(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(dir, "testdata/fuzz/FuzzA/0a1b"): "go test fuzz v1\nstring(\"new\")\n",
		filepath.Join(cache, "FuzzA/2c3d"):             strings.Repeat("x", maxInput+7),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	got := failingInputs([]byte("    Failing input written to testdata/fuzz/FuzzA/0a1b\n    To re-run:\n    go test -run=FuzzA/0a1b\n"+
		"failure while testing seed corpus entry: FuzzA/2c3d\nfailure while testing seed corpus entry: FuzzA/seed#1\n"), dir, cache)
	for _, want := range []string{"testdata/fuzz/FuzzA/0a1b:\ngo test fuzz v1\nstring(\"new\")\n", "FuzzA/2c3d:\nxxx", "... 7 more bytes"} {
		if !strings.Contains(got, want) {
			t.Errorf("the output lacks %q:\n%s", want, got)
		}
	}
	if len(got) > maxInput+1000 {
		t.Errorf("%d bytes are printed", len(got))
	}
}

func TestFindPlain(t *testing.T) {
	t.Chdir("../../..")
	for run, want := range map[string]string{
		"": "^(TestBombs|TestBudgetLeavesRoom)$", "Bombs/split": "^(TestBombs)$/split", "TestDefaultsFit": "",
	} {
		found, pattern, err := findPlain(t.Context(), options{packages: "./config", run: run})
		if err != nil {
			t.Fatal(err)
		}
		if (len(found) == 1) != (want != "") || pattern != want {
			t.Errorf("for %q found %q in %+v, want %q", run, pattern, found, want)
		}
	}
}
