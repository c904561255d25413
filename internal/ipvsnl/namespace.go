package ipvsnl

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/mdlayher/netlink"
)

// receiveBuffer makes dumps come in the largest pieces that the kernel sends (net/netlink/af_netlink.c: 32 KiB).
const receiveBuffer = 32 << 10

// namespace is a network namespace to open sockets in, from whatever thread.
type namespace struct{ file *os.File }

func currentNamespace() (namespace, error) {
	f, err := os.Open(threadNamespace)
	if err != nil {
		return namespace{}, fmt.Errorf("finding the network namespace: %w", err)
	}
	return namespace{file: f}, nil
}

const threadNamespace = "/proc/thread-self/ns/net"

// dial opens a generic netlink socket in the namespace. Only if the thread is in another one does that need
// CAP_SYS_ADMIN.
func (n namespace) dial() (*netlink.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	config := &netlink.Config{MessageBufferSize: receiveBuffer}
	here, err := n.here()
	if err != nil {
		return nil, err
	}
	if !here {
		config.NetNS = int(n.file.Fd())
	}
	nl, err := netlink.Dial(netlinkGeneric, config)
	if err != nil {
		return nil, err
	}
	// Answers without a copy of the request, and with the kernel's own words where it has some.
	for _, option := range []netlink.ConnOption{netlink.CapAcknowledge, netlink.ExtendedAcknowledge} {
		if err := nl.SetOption(option, true); err != nil {
			return nil, errors.Join(err, nl.Close())
		}
	}
	return nl, nil
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
