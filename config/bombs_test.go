package config

import (
	"fmt"
	"strings"
	"testing"
)

// bombs are configurations that would take minutes or gigabytes. Each has a few kilobytes, or megabytes if the size of
// the text itself is the problem.
var bombs = map[string]func() string{
	"wide format":       in(`a = [for x in range(1000) : format("%10000000d", x)]`),
	"wide format list":  in(`a = formatlist("%10000000s", range(1000))`),
	"long indent":       in(`a = indent(1000000000, "a\nb")`),
	"loops in loops":    in(`a = [for a in range(1000) : [for b in range(1000) : [for c in range(1000) : c if c > 0]]]`),
	"unknown in loops":  in(`a = [for a in range(1000) : [for b in range(1000) : [for c in local.none : c if c > 0]]]`),
	"errors in loops":   in(`a = [for a in range(1000) : [for b in range(1000) : a.none]]`),
	"splats in loops":   in("a = range(1000)\nb = [for a in local.a : [for b in local.a : local.a[*].none]]"),
	"directives":        in(`a = "%{for a in range(1000)}%{for b in range(1000)}%{for c in range(1000)}x%{endfor}%{endfor}%{endfor}"`),
	"doubled texts":     in("t0 = \"aaaaaaaaaaaaaaaa\"\n" + chain(60, "t%d = \"${local.t%d}${local.t%[2]d}\"\n")),
	"doubled lists":     in("t0 = [1]\n" + chain(60, "t%d = [local.t%d, local.t%[2]d]\n")),
	"doubled in loops":  in("a = " + strings.Join(loopsWithin(60), "")),
	"squared numbers":   in("t0 = pow(10, 300)\n" + chain(60, "t%d = local.t%d * local.t%[2]d\n") + "a = \"${local.t60}\"\n"),
	"a number as text":  in(`a = "${"1e9999999" * 1}"`),
	"digits":            in(`a = "` + strings.Repeat("1", 1<<20) + `" + 1`),
	"digits of a value": func() string { return "vrrp \"a\" {\n  priority = \"" + strings.Repeat("1", 1<<20) + "\"\n}\n" },
	"digits in JSON":    in(`a = jsondecode("` + strings.Repeat("1", 1<<20) + `")`),
	"replace":           in("a = \"" + strings.Repeat("a", 1<<20) + "\"\nb = replace(local.a, \"a\", local.a)"),
	"regex":             in("a = \"" + strings.Repeat("a", 1<<20) + "\"\nb = regexall(\"a.*b|a\", local.a)"),
	"split":             in("a = \"" + strings.Repeat("a", 1<<22) + "\"\nb = split(\"\", local.a)"),
	"products":          in(`a = setproduct(range(1000), range(1000), range(1000))`),
	"distinct":          in("a = setproduct(range(200), range(200))\nb = distinct(local.a)"),
	"one type":          in("a = tolist([" + strings.Repeat("{},", 50_000) + "[]])"),
	"comparisons":       in("a = range(1000)\nb = [for x in local.a : local.a]\nc = [for x in local.a : local.b == local.b]"),
	"sets":              in("a = toset([for x in setproduct(range(100), range(100)) : \"${x[0]}-${x[1]}\"])\nb = [for x in range(1000) : contains(local.a, x)]"),
	"conditions":        in("a = [for x in range(100) : range(1000)]\nb = [for x in range(1000) : x > 0 ? local.a : []]"),
	"dynamic in dynamic": func() string {
		return "dynamic \"virtual_service\" {\n  for_each = range(1000)\n  labels = [\"a\"]\n  content {\n    dynamic \"real_server\" {\n" +
			"      for_each = range(1000)\n      labels = [\"192.0.2.1\"]\n      content {}\n    }\n  }\n}\n"
	},
	"large content": func() string {
		return "dynamic \"virtual_service\" {\n  for_each = range(1000)\n  labels = [\"a\"]\n  content {\n" +
			strings.Repeat("    health_check \"tcp\" {}\n", 1000) + "  }\n}\n"
	},
	"errors in dynamic": func() string {
		return "virtual_service \"a\" {\n  address = \"192.0.2.1:80\"\n  dynamic \"real_server\" {\n    for_each = setproduct(range(200), range(200))\n" +
			"    labels = [\"192.0.2.300\"]\n    content {\n      adress = 1\n      weight = none\n    }\n  }\n}\n"
	},
	"zeros":             repeat("\x00"),
	"no words":          repeat("!"),
	"lines of nothing":  repeat("=\n"),
	"quotes":            repeat("\"\n"),
	"escapes":           func() string { return "locals {\n  a = \"" + strings.Repeat(`\q`, 1<<20) + "\"\n}\n" },
	"brackets":          repeat("["),
	"closing brackets":  repeat("}\n"),
	"blocks":            repeat("b {}\n"),
	"arguments":         func() string { return chain(100_000, "a%d = 1\n") },
	"arguments of one":  func() string { return "vrrp \"a\" {\n" + chain(100_000, "a%d = 1\n") + "}\n" },
	"services":          func() string { return chain(50_000, "virtual_service \"a%d\" {}\n") },
	"services of one":   repeat("virtual_service \"a\" {}\n"),
	"locals":            func() string { return "locals {\n" + chain(200_000, "a%d = 1\n") + "}\n" },
	"wrong locals":      func() string { return "locals {\n" + chain(100_000, "a%d = x\n") + "}\n" },
	"variables":         func() string { return chain(50_000, "variable \"a%d\" {}\n") },
	"a heredoc":         func() string { return "locals {\n  a = <<EOT\n" + strings.Repeat("x\n", 1<<19) + "EOT\n}\n" },
	"operators":         func() string { return "locals {\n  a = " + strings.Repeat("1+", 1<<20) + "1\n}\n" },
	"indexes":           func() string { return "locals {\n  a = x" + strings.Repeat("[f(0,0)]", 1<<18) + "\n}\n" },
	"directives within": func() string { return "locals {\n  a = \"" + strings.Repeat("%{if true}", 1<<18) + "\"\n}\n" },
	"interpolations":    func() string { return "locals {\n  a = \"" + strings.Repeat("${x}", 1<<16) + "\"\n}\n" },
}

func in(locals string) func() string { return func() string { return "locals {\n" + locals + "\n}\n" } }

func repeat(text string) func() string {
	return func() string { return strings.Repeat(text, maxBytes/len(text)) }
}

// chain writes n lines, each with its number and the previous one.
func chain(n int, line string) string {
	var b strings.Builder
	for i := range n {
		if strings.Count(line, "%") == 1 {
			fmt.Fprintf(&b, line, i+1)
		} else {
			fmt.Fprintf(&b, line, i+1, i)
		}
	}
	return b.String()
}

func loopsWithin(n int) []string {
	var open, shut []string
	for i := range n {
		open = append(open, fmt.Sprintf("[for v%d in ", i))
		shut = append([]string{fmt.Sprintf(" : [v%d, v%d]]", i, i)}, shut...)
	}
	return append(append(open, "[1]"), shut...)
}

// maxAllocated limits the total allocations of loading any configuration, including garbage.
const maxAllocated = 1_500 // MiB

// A list with elements of one type is not passed to package convert as a tuple, which would take quadratic time.
func TestBudgetOfLongLists(t *testing.T) {
	var b budget
	b.functions = functions(asLB1(), &b)
	for _, name := range []string{"join", "sort", "tolist", "distinct"} {
		i := 0
		if name == "join" {
			i = 1
		}
		if !b.unifies(name, i) {
			t.Errorf("%s does not take argument %d as a list", name, i)
		}
	}
	if b.unifies("length", 0) || b.unifies("none", 0) {
		t.Error("arguments of any type are taken as lists")
	}
}
