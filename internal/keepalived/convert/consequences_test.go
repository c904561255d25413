package convert

import (
	"fmt"
	"strings"
	"testing"
)

// TestConsequences: what is refused only because of something that was left out is no finding of its own.
func TestConsequences(t *testing.T) {
	const pair = "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\nvrrp_instance A {\ninterface eth0\nvirtual_router_id 3\nvirtual_ipaddress {\n10.0.0.1\n}\n}\n" +
		"vrrp_instance B {\ninterface eth0\nvirtual_router_id 3\nvirtual_ipaddress {\n10.0.0.2\n}\n}\n"
	const group = "virtual_server group g {\nprotocol TCP\nreal_server 10.0.1.1 80 {\n}\n}\n"
	if _, r := imported(t, pair); strings.Count(string(r.HCL), "So ") != 1 || !strings.Contains(string(r.HCL), "was left out.\n# So vrrp_sync_group is left out, too.") {
		t.Errorf("the group became\n%s", r.HCL)
	}
	for in, want := range map[string][]string{
		pair:                                {`4: The vrrp block "B" was left out.`, "14: Duplicate virtual_router_id"},
		"vrrp_script s {\nscript a/$b\n}\n": {"2: The path is not absolute", "2: Invalid command"},
		"virtual_server_group g {\n10.0.0.8 80\n10.0.0.9 80\n}\n" + group + group: {"10: Duplicate virtual_service"},
	} {
		_, r := imported(t, in)
		got := lossy(r)
		for i, f := range got {
			text := fmt.Sprintf("%d: %s", f.Line, strings.TrimPrefix(f.Text, refusal))
			if i >= len(want) || !strings.HasPrefix(text, want[i]) {
				t.Errorf("%s\nfinding %s", in, text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s\nhas %d findings, want %q", in, len(got), want)
		}
	}
}
