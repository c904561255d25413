package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-ha/lvs-ha/internal/lab"
)

// dist builds a release under a umask and in a time zone of its own, and returns the folder.
func dist(t *testing.T, umask, zone string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dist")
	build := exec.Command("sh", "-c", "umask "+umask+" && exec nice -n 19 ./dist") // others that run meanwhile measure time
	build.Env = append(os.Environ(), "OUT="+out, "VERSION=v1.2.3-rc1", "SOURCE_DATE_EPOCH=1700000000", "TZ="+zone)
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("packaging/dist: %v\n%s", err, text)
	}
	return out
}

// TestHostPackage builds a release twice, with the same result, and installs, upgrades, removes and purges its Debian package
// in a copy of this machine's file system. Then nothing of it is left there.
func TestHostPackage(t *testing.T) {
	lab.Need(t, lab.Host)
	out := dist(t, "022", "UTC")
	sums := func(out string) string {
		text, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := sums(out)
	if n := strings.Count(first, "\n"); n != 3 {
		t.Errorf("%d files in the release, want tarball, package and bill of materials:\n%s", n, first)
	}
	if second := sums(dist(t, "077", "Asia/Tokyo")); second != first {
		t.Errorf("built twice:\n%sand\n%s", first, second)
	}
	unshare := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-eu", "testdata/install", filepath.Join(out, "lvs-ha_1.2.3~rc1_"+goarch(t)+".deb"))
	text, err := unshare.CombinedOutput()
	t.Logf("%s", text)
	if err != nil {
		t.Fatal(err)
	}
}

func goarch(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOARCH").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
