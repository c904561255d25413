package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Node is a host: a network namespace with its interfaces, addresses and processes.
type Node struct {
	lab     *Lab
	name    string
	ns      netns.NsHandle
	netlink *netlink.Handle
	spawner *spawner
	close   func() error
	dialled atomic.Uint32 // TCP connections so far
}

// Host creates a host whose interfaces are attached to their bridges and up, including lo.
func (l *Lab) Host(name string, nics ...NIC) (*Node, error) {
	h, err := l.addHost(name)
	if err != nil {
		return nil, err
	}
	for _, nic := range nics {
		if err := h.Attach(nic); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (l *Lab) addHost(name string) (*Node, error) {
	l.mu.Lock()
	_, exists := l.hosts[name]
	l.mu.Unlock()
	if exists {
		return nil, fmt.Errorf("make host %s: there is one already", name)
	}
	h := &Node{lab: l, name: name}
	full := h.Namespace()
	ns, err := makeNamespace(full)
	if err != nil {
		return nil, fmt.Errorf("make host %s: %w", name, err)
	}
	h.ns = ns
	h.close = sync.OnceValue(h.teardown)
	if err := l.onClose(h.close); err != nil {
		return nil, err
	}
	if h.netlink, err = netlink.NewHandleAt(ns, unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("make host %s: open netlink: %w", name, err)
	}
	if h.spawner, err = newSpawner(ns); err != nil {
		return nil, fmt.Errorf("make host %s: %w", name, err)
	}
	if err := h.Up("lo"); err != nil {
		return nil, err
	}
	// Addresses are usable at once, without duplicate address detection; routes may be asymmetric.
	for _, s := range []string{
		"net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
		"net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
	} {
		key, value, _ := strings.Cut(s, "=")
		if err := h.Sysctl(key, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	l.mu.Lock()
	l.hosts[name] = h
	l.mu.Unlock()
	return h, nil
}

// remove removes a host from the lab.
func (l *Lab) remove(h *Node) error {
	l.mu.Lock()
	delete(l.hosts, h.name)
	l.mu.Unlock()
	return h.close()
}

func (h *Node) teardown() error {
	err := killInside(h.path())
	if h.spawner != nil {
		h.spawner.close()
	}
	if h.netlink != nil {
		err = errors.Join(err, h.removeLinks())
		h.netlink.Close()
	}
	return errors.Join(err, removeNamespace(h.Namespace()), h.ns.Close())
}

// Name returns the host's name within the lab.
func (h *Node) Name() string { return h.name }

// Namespace returns the name of the host's network namespace, as in `ip netns`.
func (h *Node) Namespace() string { return h.lab.id + "-" + h.name }

func (h *Node) path() string { return filepath.Join(namespaceDir, h.Namespace()) }

// Netlink returns a route netlink handle in the host.
func (h *Node) Netlink() *netlink.Handle { return h.netlink }

// Do runs f on an OS thread in the host's network namespace. Sockets that f opens stay in it, but goroutines that it
// starts are not in it. /proc/self/net is still the process's: use /proc/thread-self/net.
func (h *Node) Do(f func() error) error {
	if err := inNamespace(h.ns, f); err != nil {
		return fmt.Errorf("host %s: %w", h.name, err)
	}
	return nil
}

// Sysctl sets a kernel parameter such as net.ipv4.ip_forward in the host's namespace.
func (h *Node) Sysctl(key, value string) error {
	path := "/proc/sys/" + strings.ReplaceAll(key, ".", "/")
	return h.Do(func() error { return os.WriteFile(path, []byte(value), 0) })
}

// Listen opens a listener in the host.
func (h *Node) Listen(network, address string) (net.Listener, error) {
	var ln net.Listener
	err := h.Do(func() (err error) {
		ln, err = new(net.ListenConfig).Listen(context.Background(), network, address)
		return err
	})
	return ln, err
}

// ListenPacket opens a packet socket in the host.
func (h *Node) ListenPacket(network, address string) (net.PacketConn, error) {
	var conn net.PacketConn
	err := h.Do(func() (err error) {
		conn, err = new(net.ListenConfig).ListenPacket(context.Background(), network, address)
		return err
	})
	return conn, err
}

// DialContext connects from the host. The address must be numeric: names are not resolved in the host.
//
// Each TCP connection has a source port that the host has not used for long: IPVS keeps entries of closed connections, and
// sends a new connection with the same port where the old one went.
func (h *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := h.Do(func() (err error) {
		var d net.Dialer
		if strings.HasPrefix(network, "tcp") {
			const first, ports = 20000, 40000
			d.LocalAddr = &net.TCPAddr{Port: first + int(h.dialled.Add(1)%ports)}
		}
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
