package supervisor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAnUnsafeRuntimeDirectoryIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"writable by others", func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o700))
			must(t, os.Chmod(path, 0o777))
		}},
		{"below a directory writable by others", func(t *testing.T, path string) {
			must(t, os.Chmod(filepath.Dir(path), 0o777))
		}},
		{"a symbolic link", func(t *testing.T, path string) {
			must(t, os.Symlink(t.TempDir(), path))
		}},
		{"a file", func(t *testing.T, path string) {
			must(t, os.WriteFile(path, nil, 0o600))
		}},
		{"a symbolic link as its lock", func(t *testing.T, path string) {
			must(t, os.Mkdir(path, 0o700))
			must(t, os.Symlink(filepath.Join(t.TempDir(), "target"), filepath.Join(path, lockName)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run")
			tt.spoil(t, path)
			if lock, err := RuntimeDir(path).Lock(); err == nil {
				lock.file.Close()
				t.Error("it is accepted")
			} else {
				t.Log(err)
			}
		})
	}
}

// TestTheLockIsForNobodyElse: whoever could open it could lock it, and keep lvs-ha from starting.
func TestTheLockIsForNobodyElse(t *testing.T) {
	dir := RuntimeDir(t.TempDir())
	must(t, os.WriteFile(filepath.Join(string(dir), lockName), nil, 0o644)) // an earlier version's
	lock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.file.Close()
	info, err := lock.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("its mode is %04o", mode)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
