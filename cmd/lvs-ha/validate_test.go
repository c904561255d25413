package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestValidateNamesAStranger has a host that its own configuration does not name.
func TestValidateNamesAStranger(t *testing.T) {
	for stranger, want := range map[string]int{"": 0, "lb3": 1} {
		v := validation{path: "lvs-ha.hcl", nodes: []validatedNode{{Node: "lb1", Valid: true}, {Node: "lb2", Valid: true}}, stranger: stranger}
		var out, problems strings.Builder
		if err := v.write(&out, &problems); err != nil || strings.Count(out.String(), "lb3") != want || problems.Len() > 0 {
			t.Errorf("%v: %s%s", err, out.String(), problems.String())
		}
	}
}

// TestValidateForAllNodes has a configuration that is the same on all nodes, as in a container, and one that names them.
func TestValidateForAllNodes(t *testing.T) {
	const same = "vrrp \"web\" {\n  interface = \"eth0\"\n  virtual_router_id = 10\n  addresses = [\"192.0.2.100/24\"]\n}\n"
	for text, want := range map[string]string{
		same: "names no node and is valid for every node",
		strings.Replace(same, "  virtual", "  priority = { lb1 = 150, lb2 = 100 }[node.name]\n  virtual", 1): "valid for node lb2",
	} {
		path := filepath.Join(t.TempDir(), "lvs-ha.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := newValidate()
		var out strings.Builder
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"--all-nodes", "-c", path})
		if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%v: %q, want %q", err, out.String(), want)
		}
	}
}
