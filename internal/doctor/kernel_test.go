package doctor_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/doctor"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelHasTheParameters detects misspelled parameter names, for which a check would never report anything.
func TestKernelHasTheParameters(t *testing.T) {
	lab.Need(t, lab.Kernel)
	o := doctor.Linux{APISocket: filepath.Join(t.TempDir(), "api.sock")}.Observe(t.Context(), load(t, ""))
	for _, u := range o.Unseen {
		t.Errorf("%s: %s", u.What, u.Err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"net.ipv4.vs.drop_entry": true, "net.ipv4.vs.drop_packet": true, "net.ipv4.vs.secure_tcp": true}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`net\.ipv4\.vs\.[a-z_]{3,}`).FindAllString(string(source), -1) {
			names[name] = true
		}
	}
	for name := range names {
		if _, exists := o.Sysctls[name]; !exists {
			t.Errorf("this kernel has no %s", name)
		}
	}
	if !o.IPVS || !o.Modules.Listed || !o.Modules.Has("ip_vs") || !o.Modules.Can("ip_vs_twos") && !o.Modules.Can("ip_vs_mh") {
		t.Errorf("IPVS %v, modules listed %v", o.IPVS, o.Modules.Listed)
	}
}
