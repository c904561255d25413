package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJobs(t *testing.T) {
	packages := []testPackage{
		{ImportPath: "a", functions: []string{"TestHostOne"}},
		{ImportPath: "b", functions: []string{"TestHostTwo", "TestHostTimedThree", "TestHostTimer"}},
	}
	names := func(jobs []job) string {
		var all []string
		for _, j := range jobs {
			all = append(all, j.ImportPath+" "+j.pattern)
		}
		return strings.Join(all, ", ")
	}
	for _, tt := range []struct {
		run             string
		count           int
		together, alone string
	}{
		{"", 1, "b ^TestHostTwo$, b ^TestHostTimer$, a ^TestHostOne$", "b ^TestHostTimedThree$"},
		{"", 2, "b ^TestHostTwo$, b ^TestHostTimer$, a ^TestHostOne$, b ^TestHostTwo$, b ^TestHostTimer$, a ^TestHostOne$", "b ^TestHostTimedThree$, b ^TestHostTimedThree$"},
		{"One|Three", 1, "a ^TestHostOne$", "b ^TestHostTimedThree$"},
		{"^TestHostTwo$/sub", 1, "b ^TestHostTwo$/sub", ""},
	} {
		o := options{run: tt.run, count: tt.count}
		together, alone, err := o.jobs(packages, "TestHost")
		if err != nil || names(together) != tt.together || names(alone) != tt.alone {
			t.Errorf("%q, %d times: %q and %q, %v", tt.run, tt.count, names(together), names(alone), err)
		}
	}
	if _, _, err := (&options{run: "(", count: 1}).jobs(packages, "TestHost"); err == nil {
		t.Error("an invalid expression is accepted")
	}
}

// TestPartsAreAdded adds the tests of two packages one by one.
func TestPartsAreAdded(t *testing.T) {
	var out strings.Builder
	whole := &tally{out: &out}
	for _, in := range [][]string{
		{`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}`, `{"Action":"pass","Package":"p","Elapsed":1}`},
		{`{"Action":"fail","Package":"p","Test":"TestB","Elapsed":2}`, `{"Action":"fail","Package":"p","Elapsed":2}`},
		{`{"Action":"fail","Package":"p","Test":"TestC","Elapsed":3}`, `{"Action":"fail","Package":"p","Elapsed":3}`},
		{`{"Action":"pass","Package":"q","Test":"TestD","Elapsed":4}`, `{"Action":"pass","Package":"q","Elapsed":4}`},
	} {
		var text strings.Builder
		one := &tally{out: &text, part: true}
		if err := one.read(strings.NewReader(strings.Join(in, "\n"))); err != nil {
			t.Fatal(err)
		}
		whole.add(one, []byte(text.String()))
	}
	whole.sum("p")
	whole.sum("q")
	whole.sum("r")
	if diff := cmp.Diff("fail\tp\t2.0 s\nfail\tp\t3.0 s\nfail\tp\t3 tests, 6.0 s\npass\tq\t1 tests, 4.0 s\n", out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if whole.passed != 2 || whole.failed != 2 || whole.packages != 1 || whole.failures("p") == 0 || len(whole.took) != 4 {
		t.Errorf("%+v", whole)
	}
}
