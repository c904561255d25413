package convert

import "testing"

// TestOrderOfAPair: what only one node has stands in the order of the nodes.
func TestOrderOfAPair(t *testing.T) {
	script := func(name string) string {
		return "vrrp_script both {\nscript /both\n}\nvrrp_script " + name + " {\nscript /" + name + "\n}\n"
	}
	block := func(node, name string) string {
		return "\ndynamic \"track_script\" {\n  for_each = node.name == \"" + node + "\" ? [\"" + name + "\"] : []\n  labels   = [track_script.value]\n\n" +
			"  content {\n    command = [\"/" + name + "\"]\n    user    = \"root\"\n  }\n}\n"
	}
	pairBecomes(t, script("first"), script("second"),
		"track_script \"both\" {\n  command = [\"/both\"]\n  user    = \"root\"\n}\n"+block("lb1", "first")+block("lb2", "second"))
}
