package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/api"
	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// TestKernelServicesOfExamples runs each example that has virtual services, one after the other by reloads, and compares these with the
// kernel's table: the kernel accepts what validation accepts, and keeps it as it was written.
func TestKernelServicesOfExamples(t *testing.T) {
	lab.Need(t, lab.Kernel)
	paths, err := filepath.Glob("../../examples/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	var d *daemon
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `virtual_service"`) && !strings.Contains(string(text), "virtual_service \"") {
			continue
		}
		p.configure(string(text))
		want := servicesIn(p.lvsha("export", "ipvsadm", "-c", p.path("lvs-ha.hcl"), "--node", "lb1"))
		if len(want) == 0 {
			t.Errorf("%s has no services", path)
			continue
		}
		if d == nil {
			d = p.start("unshare", "--uts", "sh", "-c", `hostname lb1; exec "$0" "$@"`)
		} else if got := p.asked("reload"); got.status != 0 {
			t.Errorf("reload with %s: %+v", path, got)
		}
		d.awaitStatus("all services of "+path, func(s api.Status) bool { return len(s.Services) == len(want) })
		eventually(t, "the services of "+path+" are in the kernel's table", func() bool {
			return slices.Equal(servicesIn(p.lvsha("export", "ipvsadm")), want)
		})
	}
}

// servicesIn returns the services of rules that ipvsadm has saved, in order.
func servicesIn(rules answer) (lines []string) {
	for line := range strings.Lines(rules.stdout) {
		if strings.HasPrefix(line, "-A ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}
