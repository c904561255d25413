package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// EnvBinary is the environment variable with the path of the lvs-ha program to test.
const EnvBinary = "LVS_HA_BIN"

const module = "github.com/lvs-ha/lvs-ha"

// Binary returns the path of the lvs-ha program to test: $LVS_HA_BIN, or one that it builds once per process. The path
// is also valid in test kernels.
var Binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(EnvBinary); path != "" {
		return filepath.Abs(path)
	}
	return build("lvs-ha", module+"/cmd/lvs-ha")
})

// guestInit returns the path of the test kernel's init, built once per process.
var guestInit = sync.OnceValues(func() (string, error) {
	return build("guestinit", module+"/internal/lab/guestinit")
})

// build builds a static program in a directory that test kernels can access. It requires the Go tool and this module's
// files.
func build(name, pkg string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "lvs-ha-lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	// Other processes may build or run it at the same time: replace it atomically.
	fresh := filepath.Join(dir, fmt.Sprintf("%s.%d", name, os.Getpid()))
	defer os.Remove(fresh)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", fresh, pkg) // as in the Makefile
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	path := filepath.Join(dir, name)
	if err := os.Rename(fresh, path); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}
