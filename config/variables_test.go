package config

import (
	"strings"
	"testing"
)

// routerID loads a configuration whose virtual_router_id is var.id.
const routerID = `
variable "id" { default = 1 }
variable "addresses" {
  type    = list(string)
  default = ["192.0.2.1"]
}
vrrp "a" {
  interface         = "eth0"
  virtual_router_id = var.id
  addresses         = var.addresses
}
`

func TestVariablePrecedence(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a.hcl", routerID)
	first := write(t, dir, "first.vars", "id = 2\n")
	second := write(t, dir, "second.vars", "id = 3\n")
	environment := func(name string) (string, bool) { return "4", name == "LVS_HA_VAR_id" }
	for _, c := range []struct {
		name string
		o    Options
		want uint8
	}{
		{"default", Options{}, 1},
		{"file", Options{VarFiles: []string{first}}, 2},
		{"later file", Options{VarFiles: []string{first, second}}, 3},
		{"environment", Options{VarFiles: []string{first, second}, LookupEnv: environment}, 4},
		{"option", Options{VarFiles: []string{first}, LookupEnv: environment, Vars: map[string]string{"id": "5"}}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Node = "lb1"
			if c.o.LookupEnv == nil {
				c.o.LookupEnv = asLB1().LookupEnv
			}
			cfg, diags := Load(path, c.o)
			if diags.HasErrors() {
				t.Fatal(printed(t, diags))
			}
			if got := cfg.VRRP[0].VirtualRouterID; got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestVariableGivenAsExpression(t *testing.T) {
	o := asLB1()
	o.Vars = map[string]string{"addresses": `["192.0.2.7", "192.0.2.8"]`}
	cfg, diags := Load(write(t, t.TempDir(), "a.hcl", routerID), o)
	if diags.HasErrors() || len(cfg.VRRP[0].Addresses) != 2 {
		t.Errorf("%v %s", cfg, printed(t, diags))
	}
}

func TestInvalidVariables(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "a.hcl", routerID)
	for _, c := range []struct {
		name string
		o    Options
		want []string
	}{
		{"unknown option", Options{Vars: map[string]string{"ids": "1"}}, []string{`--var ids`, `Did you mean "id"?`}},
		{"no number", Options{Vars: map[string]string{"id": "x"}}, []string{`--var id does not fit the type of the variable "id"`}},
		{"no expression", Options{Vars: map[string]string{"addresses": "[1"}}, []string{"<--var addresses> line 1", "[1"}},
		{"too deep", Options{Vars: map[string]string{"addresses": strings.Repeat("[", 200)}}, []string{"Too deep"}},
		{"expression with a call", Options{Vars: map[string]string{"addresses": `[env("HOME")]`}}, []string{"Function calls not allowed"}},
		{"wrong element", Options{Vars: map[string]string{"addresses": "[[]]"}}, []string{"<--var addresses> line 1", "string required"}},
		{"missing file", Options{VarFiles: []string{dir + "/none"}}, []string{"no such file"}},
		{"unknown name in a file", Options{VarFiles: []string{write(t, dir, "1.vars", "idd = 1\n")}}, []string{"1.vars line 1", `Did you mean "id"?`}},
		{"wrong value in a file", Options{VarFiles: []string{write(t, dir, "2.vars", "id = []\n")}}, []string{"2.vars line 1", "does not fit"}},
		{"block in a file", Options{VarFiles: []string{write(t, dir, "3.vars", "id {}\n")}}, []string{"3.vars line 1", "Blocks are not allowed"}},
		{"syntax of a file", Options{VarFiles: []string{write(t, dir, "4.vars", "id = \n")}}, []string{"4.vars line 1", "Invalid expression"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Node, c.o.LookupEnv = "lb1", asLB1().LookupEnv
			_, diags := Load(path, c.o)
			if text := printed(t, diags); !diags.HasErrors() || !containsAll(text, c.want) {
				t.Errorf("%q are not all in:\n%s", c.want, text)
			}
		})
	}
}

func TestNodeOption(t *testing.T) {
	path := write(t, t.TempDir(), "a.hcl", `
node { name = hostname() }
vrrp "a" {
  interface         = "eth0"
  virtual_router_id = 51
  addresses         = ["192.0.2.1"]
  priority          = { lb1 = 150, lb2 = 100 }[node.name]
}
`)
	for node, want := range map[string]uint8{"": 150, "lb1": 150, "lb2": 100} {
		o := asLB1()
		o.Node = node
		cfg, diags := Load(path, o)
		if diags.HasErrors() || cfg.VRRP[0].Priority != want {
			t.Errorf("node %q: %v %s", node, cfg, printed(t, diags))
		}
	}
	o := asLB1()
	o.Node = "lb3"
	_, diags := Load(path, o)
	if text := printed(t, diags); !containsAll(text, []string{`This node is called "lb3"`, `"lb1" and "lb2"`, "--node"}) {
		t.Error(text)
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
