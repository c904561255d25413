package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
	"github.com/lvs-ha/lvs-ha/internal/supervisor"
)

// installed is the unit as it stands in a machine's /etc, with the path of a program that exists.
func installed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("lvs-ha.service")
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "lvs-ha.service")
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("/usr/local/sbin/lvs-ha"), []byte(program)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHostTheUnit has systemd judge the unit: no complaint, and an exposure of 3.0 at most.
func TestHostTheUnit(t *testing.T) {
	lab.Need(t, lab.Host)
	unit := installed(t)
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=30", unit).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v: %s", err, out)
	}
}

func TestTheUnitGrantsWhatTheProcessesKeep(t *testing.T) {
	text, err := os.ReadFile("lvs-ha.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if granted, ok := strings.CutPrefix(strings.TrimSpace(line), "CapabilityBoundingSet="); ok {
			for _, name := range strings.Fields(supervisor.ParentCapabilities.String()) {
				if !strings.Contains(granted+" ", name+" ") {
					t.Errorf("%s is not granted", name)
				}
			}
			if n := len(strings.Fields(granted)); n != len(strings.Fields(supervisor.ParentCapabilities.String())) {
				t.Errorf("%d capabilities are granted: %s", n, granted)
			}
			return
		}
	}
	t.Error("the unit has no CapabilityBoundingSet=")
}
