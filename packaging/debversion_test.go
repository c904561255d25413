package packaging

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDebianVersion has releases, their candidates, and commits between them, which dpkg must take for newer.
func TestDebianVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3":               "1.2.3",
		"v1.2.3-rc1":           "1.2.3~rc1",
		"v1.2.3-rc1-4-gabc123": "1.2.3~rc1+4.gabc123",
		"v1.2.3-4-gabc123":     "1.2.3+4.gabc123",
		"v1.2.3-dirty":         "1.2.3+dirty",
		"abc1234":              "0.0.0~20231114221320.abc1234",
		"abc1234-dirty":        "0.0.0~20231114221320.abc1234.dirty",
	} {
		out, err := exec.Command("sh", "./debversion", version, "1700000000").Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", version, got, err, want)
		}
	}
}
