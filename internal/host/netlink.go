package host

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Timeout is the time limit for the kernel's answer to one request of a command.
const Timeout = 5 * time.Second

// attempts limits how often a table is read again because it changed meanwhile.
const attempts = 10

// Open returns a handle in the calling thread's network namespace. No request on it waits longer than timeout.
func Open(timeout time.Duration) (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	if err := h.SetSocketTimeout(timeout); err != nil {
		h.Close()
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	return h, nil
}

// List repeats a request until its answer is complete: the kernel reports if a table changed while it was read.
func List[T any](what string, ask func() ([]T, error)) ([]T, error) {
	for range attempts {
		out, err := ask()
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("list %s: %w", what, err)
		}
	}
	return nil, fmt.Errorf("list %s: it kept changing while it was read: %w", what, netlink.ErrDumpInterrupted)
}

// Prefix converts a netlink address and mask. It returns false if the mask does not match the address, and for no address,
// which some default routes have.
func Prefix(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if bits == 8*net.IPv4len {
		a = a.Unmap()
	}
	if !ok || bits != a.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, ones), true
}

func addressOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
