package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func ptr(ts *unix.Timespec) unsafe.Pointer { return unsafe.Pointer(ts) }

// look is the interval between two readings of the state.
const look = 4 * time.Millisecond

// watchState prints the state that affects clients: which addresses the machine has, the table, and IP forwarding.
func watchState(addresses []netip.Addr, out *printer) error {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	l, err := newLooker(addresses)
	if err != nil {
		return err
	}
	var last string
	alive, before := now(), now()
	for {
		state, err := l.look()
		if err != nil {
			return err
		}
		t := now()
		if state != last {
			out.printAt(t, state)
			last = state
		}
		if t-alive >= alivePause {
			out.printAt(t, "alive")
			alive = t
		}
		_ = sleep(look)
		if late := now() - before - look; late >= 2*look {
			out.print("stall " + strconv.FormatInt(int64(late), 10))
		}
		before = now()
	}
}

// looker keeps its files open, so that a reading takes only a few system calls.
type looker struct {
	addresses []netip.Addr
	netlink   int
	table     *os.File
	forward   *os.File
	buf       []byte
}

func newLooker(addresses []netip.Addr) (*looker, error) {
	l := &looker{addresses: addresses, buf: make([]byte, 1<<16)}
	var err error
	if l.netlink, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	if l.forward, err = os.Open("/proc/sys/net/ipv4/ip_forward"); err != nil {
		return nil, err
	}
	if l.table, err = os.Open("/proc/net/ip_vs"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return l, nil
}

func (l *looker) look() (string, error) {
	held, err := l.held()
	if err != nil {
		return "", err
	}
	services, servers, err := l.counts()
	if err != nil {
		return "", err
	}
	n, err := l.forward.ReadAt(l.buf[:8], 0)
	if n == 0 {
		return "", fmt.Errorf("read ip_forward: %w", err)
	}
	return fmt.Sprintf("state %s %d %d %s", held, services, servers, bytes.TrimSpace(l.buf[:n])), nil
}

// held returns a 0 or 1 for each address: whether this machine has it now.
func (l *looker) held() (string, error) {
	request := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfAddrmsg)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETADDR)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request[unix.SizeofNlMsghdr] = unix.AF_INET
	if err := unix.Sendto(l.netlink, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return "", fmt.Errorf("request addresses: %w", err)
	}
	held := bytes.Repeat([]byte{'0'}, len(l.addresses))
	for {
		n, _, err := unix.Recvfrom(l.netlink, l.buf, 0)
		if err != nil {
			return "", fmt.Errorf("read addresses: %w", err)
		}
		done, err := eachAddress(l.buf[:n], func(a netip.Addr) {
			for i := range l.addresses {
				if l.addresses[i] == a {
					held[i] = '1'
				}
			}
		})
		if done || err != nil {
			return string(held), err
		}
	}
}

// eachAddress parses RTM_NEWADDR messages and reports whether they were the last (rtnetlink(7)).
func eachAddress(b []byte, take func(netip.Addr)) (done bool, err error) {
	const header, body, attribute = unix.SizeofNlMsghdr, unix.SizeofIfAddrmsg, unix.SizeofRtAttr
	for len(b) >= header {
		size := int(binary.NativeEndian.Uint32(b))
		if size < header || size > len(b) {
			return true, fmt.Errorf("netlink message of %d bytes in %d", size, len(b))
		}
		switch kind := binary.NativeEndian.Uint16(b[4:]); kind {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			return true, errors.New("netlink refuses the question for addresses")
		case unix.RTM_NEWADDR:
			for a := b[min(header+body, size):size]; len(a) >= attribute; {
				n := int(binary.NativeEndian.Uint16(a))
				if n < attribute || n > len(a) {
					break
				}
				if binary.NativeEndian.Uint16(a[2:]) == unix.IFA_LOCAL && n == attribute+4 {
					take(netip.AddrFrom4([4]byte(a[attribute:n])))
				}
				a = a[min((n+3)&^3, len(a)):]
			}
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return false, nil
}

// counts returns the number of services in the kernel's table and the number of servers with a nonzero weight in all of them.
func (l *looker) counts() (services, servers int, err error) {
	if l.table == nil {
		return 0, 0, nil
	}
	n, err := l.table.ReadAt(l.buf, 0)
	if n == 0 {
		return 0, 0, fmt.Errorf("read /proc/net/ip_vs: %w", err)
	}
	services, servers = countTable(l.buf[:n])
	return services, servers, nil
}

// countTable counts services and servers in /proc/net/ip_vs, whose first three lines are headings.
func countTable(text []byte) (services, servers int) {
	lines := 0
	for line := range bytes.Lines(text) {
		if lines++; lines <= 3 {
			continue
		}
		if !bytes.HasPrefix(line, []byte("  ->")) {
			services++
			continue
		}
		if f := bytes.Fields(line); len(f) > 3 && !bytes.Equal(f[3], []byte("0")) {
			servers++
		}
	}
	return services, servers
}
