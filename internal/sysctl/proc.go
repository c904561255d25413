package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Kernel is where parameters are read and written.
type Kernel interface {
	Read(key string) (string, error)
	Write(key, value string) error
	Glob(pattern string) ([]string, error) // the keys that match, with * for any one part
}

// Proc is a Kernel below a folder. What is below net/ belongs to the calling thread's network namespace.
type Proc string

// System is this machine's kernel.
const System Proc = "/proc/sys"

// Read returns a parameter's value, with single blanks between the numbers of a vector. The error of a parameter
// that the kernel does not have is fs.ErrNotExist.
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
	// Not os.WriteFile: it would make a file in a folder that is not the kernel's.
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
	var mend string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: this kernel does not have it (is its module loaded?): %w", what, fs.ErrNotExist)
	case errors.Is(err, unix.EROFS):
		mend = "/proc/sys is read-only here: set it on the host, or where the container is started"
	case errors.Is(err, fs.ErrPermission):
		mend = "run it as root, with CAP_NET_ADMIN"
	case errors.Is(err, unix.EINVAL):
		mend = "the kernel refuses the value"
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
	if cause, ok := errors.AsType[unix.Errno](err); ok {
		err = cause
	}
	return fmt.Errorf("%s: %s: %w", what, mend, err)
}
