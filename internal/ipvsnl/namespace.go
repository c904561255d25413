package ipvsnl

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// receiveBuffer lets the kernel send dumps in its largest pieces (net/netlink/af_netlink.c: 32 KiB).
const receiveBuffer = 32 << 10

// namespace is a network namespace in which sockets can be opened from any thread.
type namespace struct{ file *os.File }

func currentNamespace() (namespace, error) {
	f, err := os.Open(threadNamespace)
	if err != nil {
		return namespace{}, fmt.Errorf("finding the network namespace: %w", err)
	}
	return namespace{file: f}, nil
}

const threadNamespace = "/proc/thread-self/ns/net"

// dial opens a generic netlink socket in the namespace. It requires CAP_SYS_ADMIN only if the thread is in another one.
func (n namespace) dial() (Transport, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := n.here()
	if err != nil {
		return nil, err
	}
	if here {
		return openTransport()
	}
	type opened struct {
		transport Transport
		err       error
	}
	result := make(chan opened)
	go func() {
		// Not unlocked: the thread is in another namespace, and ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- opened{nil, fmt.Errorf("entering the network namespace: %w", err)}
			return
		}
		transport, err := openTransport()
		result <- opened{transport, err}
	}()
	r := <-result
	return r.transport, r.err
}

func (n namespace) here() (bool, error) {
	mine, err := n.file.Stat()
	if err != nil {
		return false, err
	}
	current, err := os.Stat(threadNamespace)
	if err != nil {
		return false, err
	}
	return os.SameFile(mine, current), nil
}

func (n namespace) close() error { return n.file.Close() }
