package main

import (
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
