package config

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// withWarnings returns a configuration of several services without real servers, each with a warning.
func withWarnings(n int, padding string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "virtual_service \"w%d\" {\n  address = \"192.0.2.1:%d\"\n}\n%s", i, i+1, padding)
	}
	return b.String()
}

func TestPrintingCostDoesNotDependOnFileSize(t *testing.T) {
	cost := func(padding string) uint64 {
		_, diags := LoadText("a.hcl", []byte(withWarnings(400, padding)), asLB1())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		printed(t, diags)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small := cost("")
	large := cost(strings.Repeat("# padding\n", 1_000)) // 4 MB
	if large > 2*small+100_000 {
		t.Errorf("printing took %d bytes for a small file and %d for a large one", small, large)
	}
}

func TestManyFindingsAreSummarized(t *testing.T) {
	_, diags := LoadText("a.hcl", []byte(withWarnings(400, "")), asLB1())
	text := printed(t, diags)
	if n := strings.Count(text, "Warning: "); n != maxAlike+1 || len(text) > 5_000 {
		t.Errorf("%d findings are printed in %d bytes", n, len(text))
	}
	shown, more := diags.Findings()
	if len(shown) != maxAlike || more != 400-maxAlike || !shown[0].Warning || shown[0].File != "a.hcl" || shown[0].Line != 1 {
		t.Errorf("got %+v and %d more", shown, more)
	}
	if err := diags.Err(); err != nil {
		t.Errorf("warnings are an error: %v", err)
	}
}

func TestEqualFindingsArePrintedOnce(t *testing.T) {
	text := strings.Repeat("director {\n  grace = \"5m7x\"\n}\n", 1) + strings.Repeat("sysctl {\n  manage = 7\n}\nsysctl {}\n", 1)
	var services strings.Builder
	for i := range 30 {
		fmt.Fprintf(&services, "virtual_service \"s%d\" {\n  address = \"192.0.2.1:%d\"\n  scheduler = \"xxxxx\"\n  real_server \"192.0.2.2\" {}\n}\n", i, i+1)
	}
	_, diags := LoadText("a.hcl", []byte(text+services.String()), asLB1())
	shown, _ := diags.Findings()
	var counts []int
	for _, f := range shown {
		counts = append(counts, f.Count)
	}
	if len(shown) != 4 || shown[3].Count != 30 || shown[3].Line != 10 {
		t.Errorf("got counts %v of %+v", counts, shown)
	}
	if text := printed(t, diags); !strings.Contains(text, "(30 times)") || !strings.Contains(text, "line 15, line 20") {
		t.Errorf("count and places are missing in:\n%s", text)
	}
}

func TestErrorsAreShownBeforeWarnings(t *testing.T) {
	var list hcl.Diagnostics
	for i := range 2 * maxShown {
		list = append(list, warning(hcl.Range{}, fmt.Sprint("kind ", i), ""))
	}
	list = append(list, problem(hcl.Range{}, "the error", ""))
	diags := &Diagnostics{list: list, secrets: newSecrets()}
	if shown, more := diags.Findings(); shown[0].Warning || len(shown) != maxShown || more != maxShown+1 {
		t.Errorf("got %+v, %d more", shown[0], more)
	}
}

func TestPrintingIsSafeForTerminals(t *testing.T) {
	for name, text := range map[string]string{
		"escape in a value":      "director { grace = \"\x1b[2J\" }\n",
		"escape in a comment":    "directr {} # \x1b]0;title\a\n",
		"escape in a name":       "virtual_service \"\x1b[31m\" {}\n",
		"direction is reversed":  "directr {} # \u202e\n",
		"C1 control":             "directr {} # \u009b31m\n",
		"bytes that are no text": "directr {} # \xff\x9b\n",
		"carriage return":        "directr {} # \rdirector {}\n",
		"zeros":                  strings.Repeat("\x00", 1<<20),
		"a long line":            "directr { " + strings.Repeat("a ", 1<<20) + "}\n",
		"a long name":            "directr_" + strings.Repeat("x", 1<<20) + " {}\n",
		"a long text":            "director { grace = \"" + strings.Repeat("x", 1<<20) + "\" }\n",
		"many lines":             "director { grace = [\n" + strings.Repeat("\"x\",\n", 1<<16) + "] }\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, diags := LoadText("a.hcl", []byte(text), asLB1())
			if !diags.HasErrors() {
				t.Fatal("no error to print")
			}
			said := printed(t, diags)
			for _, all := range []string{said, diags.Err().Error()} {
				if strings.ContainsFunc(all, isUnprintable) {
					t.Errorf("not escaped: %q", all)
				}
				if len(all) > 20_000 {
					t.Errorf("%d bytes are printed", len(all))
				}
			}
			var colored bytes.Buffer
			if err := diags.Write(&colored, true); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLongLinesAreTruncatedAroundSubject(t *testing.T) {
	text := "director { on_stop = \"leave\" /* " + strings.Repeat("é", 500) + " */ grace = 17 /* " + strings.Repeat("ü", 500) + " */ }\n"
	_, diags := LoadText("a.hcl", []byte(text), asLB1())
	if said := printed(t, diags); !strings.Contains(said, "grace = 17") || !strings.Contains(said, "1: …é") || strings.Contains(said, `\x`) {
		t.Errorf("got:\n%s", said)
	}
}
