package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/mdlayher/genetlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// EnvKinds is the environment variable with the comma-separated kinds of tests to run.
const EnvKinds = "LVS_HA_TEST"

// Kind is a kind of test that requires more than an unprivileged process.
type Kind string

// The kinds of tests beyond unit tests.
const (
	Host   Kind = "host"   // root and network namespaces on this kernel
	Kernel Kind = "kernel" // root and IPVS in this kernel
	Pair   Kind = "pair"   // root, namespaces, and director machines with IPVS
)

// TB is the part of testing.TB that the package uses.
type TB interface {
	Helper()
	Name() string
	Cleanup(func())
	TempDir() string
	Logf(format string, args ...any)
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Need skips the test unless LVS_HA_TEST lists the kind, and fails it if the kind is listed but cannot run here.
func Need(t TB, k Kind) {
	t.Helper()
	if !Wanted(k) {
		t.Skipf("%s does not list %q", EnvKinds, k)
	}
	if err := Able(k); err != nil {
		t.Fatalf("cannot run %s tests: %v", k, err)
	}
}

// Wanted reports whether LVS_HA_TEST lists the kind.
func Wanted(k Kind) bool {
	return slices.Contains(strings.Split(os.Getenv(EnvKinds), ","), string(k))
}

// Able returns why tests of a kind cannot run here, or nil.
func Able(k Kind) error {
	if os.Geteuid() != 0 {
		return errors.New("not root: run it as root or with sudo")
	}
	switch k {
	case Host:
		return namespacesWork()
	case Kernel:
		return HasIPVS()
	case Pair:
		if err := namespacesWork(); err != nil {
			return err
		}
		if HasIPVS() == nil {
			return nil
		}
		_, err := kernelPath()
		return err
	}
	return fmt.Errorf("unknown kind of test %q", string(k))
}

func namespacesWork() error {
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		return netns.Set(homeNamespace())
	})
}

// HasIPVS returns nil if this kernel has IPVS. It tries to load the module first, if permitted.
func HasIPVS() error {
	if familyExists() {
		return nil
	}
	if path, err := exec.LookPath("modprobe"); err == nil {
		_ = exec.Command(path, "-q", "ip_vs").Run()
	}
	if familyExists() {
		return nil
	}
	return errors.New("this kernel has no IPVS: load the module ip_vs or use the test kernel (make test-kernel)")
}

func familyExists() bool {
	c, err := genetlink.Dial(nil)
	if err != nil {
		return false
	}
	defer c.Close()
	_, err = c.GetFamily("IPVS")
	return err == nil
}

func kernelPath() (string, error) {
	path, err := exec.LookPath("linux.uml")
	if err != nil {
		return "", errors.New("the test kernel linux.uml is missing: run scripts/setup (Debian package user-mode-linux)")
	}
	return path, nil
}
