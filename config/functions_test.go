package config

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

func TestFunctions(t *testing.T) {
	context := &hcl.EvalContext{Functions: functions(asLB1(), &budget{})}
	for expression, want := range map[string]string{
		`hostname()`:                                         "lb1",
		`env("SITE")`:                                        "west",
		`env("NONE", "east")`:                                "east",
		`env("NONE")`:                                        "error: the environment variable NONE is not set",
		`cidrhost("192.0.2.77/24", 5)`:                       "192.0.2.5",
		`cidrhost("192.0.2.0/24", -1)`:                       "192.0.2.255",
		`cidrhost("192.0.2.0/24", -257)`:                     "error: outside the network",
		`cidrhost("2001:db8::/32", 65536)`:                   "2001:db8::1:0",
		`cidrhost("::/0", -1)`:                               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		`cidrhost("192.0.2.0/24", 1.5)`:                      "error: whole number",
		`cidrhost("192.0.2.0/24", pow(2, 1000))`:             "error: whole number",
		`cidrhost("192.0.2.0", 1)`:                           "error: no '/'",
		`cidrnetmask("192.0.2.0/20")`:                        "255.255.240.0",
		`cidrnetmask("2001:db8::/32")`:                       "error: IPv6 has no netmasks",
		`cidrsubnet("10.0.0.0/8", 8, 3)`:                     "10.3.0.0/16",
		`cidrsubnet("2001:db8::/32", 32, 4294967295)`:        "2001:db8:ffff:ffff::/64",
		`cidrsubnet("10.0.0.0/8", 8, 256)`:                   "error: does not fit in 8 bits",
		`cidrsubnet("10.0.0.0/8", 25, 0)`:                    "error: do not fit",
		`cidrsubnet("10.0.0.0/8", -1, 0)`:                    "error: do not fit",
		`cidrsubnet("10.0.0.0/8", "a", 0)`:                   "error: a number is required",
		`join(",", concat(split("-", "a-b"), [upper("c")]))`: "a,b,C",
		`lookup(merge({ a = 1 }, { b = 2 }), "b", 3)`:        "2",
		`lookup({ a = 1 }, "b", 3)`:                          "3",
		`format("%s:%d", "a", 80)`:                           "a:80",
		`try(tonumber("a"), 7)`:                              "7",
		`can(tonumber("a"))`:                                 "false",
		`length(setproduct(["a", "b"], [1, 2, 3]))`:          "6",
		`jsondecode("{\"a\": [1, 2]}").a[1]`:                 "2",
		`join("", [for n in range(1, 4) : "${n}"])`:          "123",
		`replace("a.b", ".", "-")`:                           "a-b",
		`element(sort(toset(["b", "a"])), 0)`:                "a",
		`contains(keys({ lb1 = 1 }), "lb1") ? "yes" : "no"`:  "yes",
		`regexreplace("eth0", "[0-9]", "X")`:                 "ethX",
		`coalesce(null, "x")`:                                "x",
		`flatten([["a"], ["b"]])[1]`:                         "b",
	} {
		t.Run(expression, func(t *testing.T) {
			expr, diags := hclsyntax.ParseExpression([]byte(expression), "test", hcl.InitialPos)
			value := cty.NilVal
			if !diags.HasErrors() {
				value, diags = expr.Value(context)
			}
			if wantError, ok := strings.CutPrefix(want, "error: "); ok {
				if !strings.Contains(diags.Error(), wantError) {
					t.Errorf("got %v and %v", value, diags)
				}
				return
			}
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			text, err := convert.Convert(value, cty.String)
			if err != nil || text.AsString() != want {
				t.Errorf("got %#v, %v", value, err)
			}
		})
	}
}
