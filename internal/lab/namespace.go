package lab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const namespaceDir = "/run/netns"

// SharedDir is for temporary files that test kernels can access. Their /run and /dev are their own.
const SharedDir = "/tmp"

// removeLeftovers removes the namespaces and the directories of runs that have ended.
func removeLeftovers(prefix string) error {
	var errs []error
	for _, path := range leftovers(namespaceDir, prefix) {
		// Another process may be removing it too.
		if err := removeNamespace(filepath.Base(path)); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, path := range leftovers(SharedDir, prefix) {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// leftovers returns the files prefix-pid-… of processes that have ended.
func leftovers(dir, prefix string) []string {
	// Glob fails only on malformed patterns.
	paths, _ := filepath.Glob(filepath.Join(dir, prefix+"-*"))
	return slices.DeleteFunc(paths, func(path string) bool {
		pid, err := strconv.Atoi(strings.Split(filepath.Base(path), "-")[1])
		return err != nil || processExists(pid)
	})
}

func processExists(pid int) bool {
	return unix.Kill(pid, 0) != unix.ESRCH
}

func removeNamespace(name string) error {
	path := filepath.Join(namespaceDir, name)
	killErr := killInside(path)
	// EINVAL: the run was killed between creating the file and mounting the namespace on it.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
		return errors.Join(killErr, fmt.Errorf("unmount namespace %s: %w", name, err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(killErr, fmt.Errorf("remove namespace: %w", err))
	}
	return killErr
}

// killInside ends every process whose main thread is in the namespace, and waits for their end.
func killInside(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// A process may have forked since /proc was read: repeat until none is found.
	for {
		if err := signalInside(path, unix.SIGKILL); err != nil {
			return err
		}
		pause, stop := context.WithTimeout(ctx, 10*time.Millisecond)
		err := awaitEmpty(pause, path)
		stop()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
}

func signalInside(path string, sig unix.Signal) error {
	pids, err := processesInside(path)
	if err != nil {
		return err
	}
	for pid := range pids {
		// ESRCH: it has ended meanwhile.
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("send %v to process %d: %w", sig, pid, err)
		}
	}
	return nil
}

// awaitEmpty waits until no process is in the namespace.
func awaitEmpty(ctx context.Context, path string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := processesInside(path)
		if err != nil {
			return err
		}
		empty := true
		for range pids {
			empty = false
			break
		}
		if empty {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until all processes in %s have ended: %w", path, context.Cause(ctx))
		}
	}
}

// openNamespace opens a namespace and returns its identity. Its number is not given to another one before the file is closed.
func openNamespace(path string) (*os.File, unix.Stat_t, error) {
	var id unix.Stat_t
	f, err := os.Open(path)
	if err != nil {
		return nil, id, fmt.Errorf("open namespace: %w", err)
	}
	if err := unix.Fstat(int(f.Fd()), &id); err != nil {
		f.Close()
		return nil, id, fmt.Errorf("look at namespace %s: %w", path, err)
	}
	return f, id, nil
}

// processesInside returns the other processes whose main thread is in the namespace. The sequence must be used once.
func processesInside(path string) (iter.Seq[int], error) {
	file, want, err := openNamespace(path)
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		file.Close()
		return nil, err
	}
	return func(yield func(int) bool) {
		defer file.Close()
		for _, p := range found {
			var got unix.Stat_t
			if unix.Stat(p, &got) != nil || got.Ino != want.Ino || got.Dev != want.Dev {
				continue
			}
			pid, err := strconv.Atoi(strings.Split(p, "/")[2])
			if err != nil || pid == os.Getpid() || isZombie(pid) {
				continue
			}
			if !yield(pid) {
				return
			}
		}
	}, nil
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	return !ok || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func makeNamespace(name string) (netns.NsHandle, error) {
	var ns netns.NsHandle
	err := onOwnThread(func() error {
		made, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("make network namespace %s: %w", name, err)
		}
		ns = made
		return netns.Set(homeNamespace())
	})
	return ns, err
}
