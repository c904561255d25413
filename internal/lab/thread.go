package lab

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var homeNamespace = sync.OnceValue(func() netns.NsHandle {
	ns, err := netns.GetFromPath("/proc/self/ns/net")
	if err != nil {
		panic(fmt.Sprintf("open this process's network namespace: %v", err))
	}
	return ns
})

// onOwnThread runs f on an exclusive OS thread. If f fails, the thread is discarded, since it may be in another
// namespace.
func onOwnThread(f func() error) error {
	homeNamespace()
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := f()
		if err == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// inNamespace runs f on a thread in the namespace. Goroutines that f starts are not in it.
func inNamespace(ns netns.NsHandle, f func() error) error {
	var ferr error
	err := onOwnThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		ferr = f()
		if err := netns.Set(homeNamespace()); err != nil {
			return fmt.Errorf("leave network namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return ferr
}

// spawner is an OS thread that stays in a namespace, with its own /sys, and starts processes there. It lives as long as
// its host: the kernel sends a child's parent-death signal when the *thread* that created it ends.
type spawner struct {
	work   chan func()
	closed <-chan struct{}
	close  func()
}

func newSpawner(ns netns.NsHandle) (*spawner, error) {
	closed := make(chan struct{})
	s := &spawner{work: make(chan func()), closed: closed, close: sync.OnceFunc(func() { close(closed) })}
	ready := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine.
		runtime.LockOSThread()
		err := settleIn(ns)
		ready <- err
		if err != nil {
			return
		}
		for {
			select {
			case f := <-s.work:
				f()
			case <-closed:
				return
			}
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return s, nil
}

func settleIn(ns netns.NsHandle) error {
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("lab", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	return nil
}

func (s *spawner) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case s.work <- func() { result <- f() }:
		return <-result
	case <-s.closed:
		return errors.New("the host is no more")
	}
}
