package keepalived

import (
	"testing"
)

// FuzzRead: no text makes the reader fail or take long.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"vrrp_instance V { state MASTER virtual_ipaddress { 10.0.0.1/24 dev eth0 } }",
		"$A=x \\\n y\n@lb1 $A\n~SEQ(i, 1, 3) ${A}$i\n~LST({a,b},{1,2}) $a\n",
		"include x\nvrrp_script s { script \"a 'b' \\x41\" }\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Read("f", Options{Node: "lb1", Files: mapped{"f": text, "x": text}, lines: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Nodes {
			ParseScript(n.Text)
		}
	})
}
