package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// EnvPrograms is the environment variable with the path of a directory in which BuildPrograms has built the programs.
// Processes without it build what they need.
const EnvPrograms = "LVS_HA_PROGRAMS"

// programs are the packages of the programs that tests need, by name.
var programs = map[string]string{
	"lvs-ha":    "github.com/lvs-ha/lvs-ha/cmd/lvs-ha",
	"guestinit": "github.com/lvs-ha/lvs-ha/internal/lab/guestinit", // the test kernel's init
	"witness":   "github.com/lvs-ha/lvs-ha/internal/lab/witness",   // observes a machine from inside
}

// Binary returns the path of the lvs-ha program to test. The path is also valid in test kernels.
func Binary() (string, error) { return program("lvs-ha") }

// BuildPrograms builds the programs in a directory that test kernels can access, and sets EnvPrograms for this process and
// those it starts.
func BuildPrograms(dir string) error {
	for name := range programs {
		if _, err := build(dir, name); err != nil {
			return err
		}
	}
	return os.Setenv(EnvPrograms, dir)
}

var built = struct {
	sync.Mutex
	paths map[string]string
}{paths: map[string]string{}}

// program returns the path of a program. Without EnvPrograms, it is built once per process.
func program(name string) (string, error) {
	if dir := os.Getenv(EnvPrograms); dir != "" {
		return filepath.Join(dir, name), nil
	}
	built.Lock()
	defer built.Unlock()
	if path := built.paths[name]; path != "" {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	built.paths[name], err = build(filepath.Join(cache, "lvs-ha-lab"), name)
	return built.paths[name], err
}

// build builds a static program. It requires the Go tool and this module's files.
func build(dir, name string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	// Other processes may build or run it at the same time: replace it atomically.
	fresh := filepath.Join(dir, fmt.Sprintf("%s.%d", name, os.Getpid()))
	defer os.Remove(fresh)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", fresh, programs[name]) // as in the Makefile
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
