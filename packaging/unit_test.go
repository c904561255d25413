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

// installed is the unit as it stands in a machine's /etc, with the path of a program that exists, and without what is
// to be removed.
func installed(t *testing.T, remove ...string) string {
	t.Helper()
	text, err := os.ReadFile("lvs-ha.service")
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("/usr/local/sbin/lvs-ha"), []byte(program))
	for _, r := range remove {
		if !bytes.Contains(text, []byte(r)) {
			t.Fatalf("the unit has no %q", r)
		}
		text = bytes.ReplaceAll(text, []byte(r), nil)
	}
	path := filepath.Join(t.TempDir(), "lvs-ha.service")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHostTheUnit has systemd judge the unit: no complaint, and an exposure of 3.0 at most, without what running scripts
// as other users takes. That adds 0.4 at most.
func TestHostTheUnit(t *testing.T) {
	lab.Need(t, lab.Host)
	unit := installed(t)
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
	for threshold, unit := range map[string]string{"30": installed(t, " CAP_SETUID CAP_SETGID CAP_KILL", " @setuid"), "34": unit} {
		if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+threshold, unit).CombinedOutput(); err != nil {
			t.Errorf("systemd-analyze security: %v: %s", err, out)
		}
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
