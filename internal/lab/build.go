package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// EnvBinary names the environment variable with the path of the lvs-ha program to test.
const EnvBinary = "LVS_HA_BIN"

const module = "github.com/lvs-ha/lvs-ha"

// Binary is the path of the lvs-ha program to test: $LVS_HA_BIN, or one that it builds once a process. Test kernels
// see it under the same path.
var Binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(EnvBinary); path != "" {
		return filepath.Abs(path)
	}
	return build("lvs-ha", module+"/cmd/lvs-ha")
})

// guestInit is the path of the test kernel's init, built once a process.
var guestInit = sync.OnceValues(func() (string, error) {
	return build("guestinit", module+"/internal/lab/guestinit")
})

// build builds a static program where test kernels see it too. It needs the Go tool and this module's files.
func build(name, pkg string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "lvs-ha-lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	// Others may build or run it at the same time: replace it as a whole.
	fresh := filepath.Join(dir, fmt.Sprintf("%s.%d", name, os.Getpid()))
	defer os.Remove(fresh)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", fresh, pkg) // as the Makefile does
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
