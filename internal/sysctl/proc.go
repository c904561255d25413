package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Kernel reads and writes parameters.
type Kernel interface {
	Read(key string) (string, error)
	Write(key, value string) error
	Glob(pattern string) ([]string, error) // returns the keys that match; * stands for any one part
}

// Proc is a Kernel below a directory. The parameters below net/ are those of the calling thread's network namespace.
type Proc string

// System is this host's kernel.
const System Proc = "/proc/sys"

// Read returns a parameter's value, with single spaces between the numbers of a vector. If the kernel does not have the
// parameter, the error is fs.ErrNotExist.
func (p Proc) Read(key string) (string, error) {
	name, err := path(key)
	if err != nil {
		return "", err
	}
	raw, err := os.ReadFile(filepath.Join(string(p), name))
	if err != nil {
		return "", failure("read", key, err)
	}
	return normal(string(raw)), nil
}

// Write sets a parameter.
func (p Proc) Write(key, value string) error {
	name, err := path(key)
	if err != nil {
		return err
	}
	// Not os.WriteFile, which would create a missing file in a directory that is not the kernel's.
	f, err := os.OpenFile(filepath.Join(string(p), name), os.O_WRONLY, 0)
	if err != nil {
		return failure("set", key, err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return failure("set", key, err)
	}
	return nil
}

// Glob returns the keys of the parameters that match a pattern such as net.ipv4.conf.*.forwarding.
func (p Proc) Glob(pattern string) ([]string, error) {
	name, err := path(pattern)
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(string(p), name))
	if err != nil {
		return nil, fmt.Errorf("kernel parameters %s: %w", pattern, err)
	}
	keys := make([]string, 0, len(found))
	for _, f := range found {
		rel, err := filepath.Rel(string(p), f)
		if err != nil {
			return nil, fmt.Errorf("kernel parameters %s: %w", pattern, err)
		}
		keys = append(keys, keyOf(rel))
	}
	return keys, nil
}

func failure(doing, key string, err error) error {
	what := fmt.Sprintf("%s kernel parameter %s", doing, key)
	var remedy string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: this kernel does not have it (is its module loaded?): %w", what, fs.ErrNotExist)
	case errors.Is(err, unix.EROFS):
		remedy = "/proc/sys is read-only: set it on the host, or when the container is started"
	case errors.Is(err, fs.ErrPermission):
		remedy = "run as root, with CAP_NET_ADMIN"
	case errors.Is(err, unix.EINVAL):
		remedy = "the kernel refuses the value"
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
	if cause, ok := errors.AsType[unix.Errno](err); ok {
		err = cause
	}
	return fmt.Errorf("%s: %s: %w", what, remedy, err)
}
