package speaker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// netlinkTimeout is the timeout for a reply. The kernel queues the reply during the system call that sends the request,
	// regardless of its duration; a reply that is missing afterwards was lost.
	netlinkTimeout = 200 * time.Millisecond

	netlinkBuffer = 4 << 20 // bytes

	netlinkAttempts = 6 // after temporary errors
	firstPause      = time.Millisecond
)

// lister reads interfaces and addresses.
type lister interface {
	LinkList() ([]netlink.Link, error)
	Addresses(found func(index int, p netip.Prefix, flags int)) error // of all interfaces
}

// routes is the part of route netlink that is used for virtual addresses.
type routes interface {
	lister
	Change(changes []addressChange) []error // one error for each
	RouteGetWithOptions(destination net.IP, options *netlink.RouteGetOptions) ([]netlink.Route, error)
}

// transient reports whether an error is temporary: the kernel lacked a resource, a signal interrupted the call, a reply was
// lost, or a table changed while it was read.
func transient(err error) bool {
	for _, errno := range []unix.Errno{unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.Is(err, netlink.ErrDumpInterrupted)
}

// retryTransient retries a request a few times after temporary errors.
func retryTransient(ask func() error) error {
	wait := firstPause
	for attempt := 1; ; attempt++ {
		err := ask()
		if err == nil || attempt == netlinkAttempts || !transient(err) {
			return err
		}
		time.Sleep(wait)
		wait *= 2
	}
}

// retryEach carries out n requests and returns the error of each. Those with temporary errors are retried a few times.
func retryEach(n int, ask func(numbers []int) []error) []error {
	errs := make([]error, n)
	open := make([]int, n)
	for i := range open {
		open[i] = i
	}
	wait := firstPause
	for attempt := 1; len(open) > 0; attempt++ {
		var again []int
		for at, err := range ask(open) {
			errs[open[at]] = err
			if transient(err) && attempt < netlinkAttempts {
				again = append(again, open[at])
			}
		}
		if open = again; len(open) > 0 {
			time.Sleep(wait)
			wait *= 2
		}
	}
	return errs
}

// subscription receives the kernel's messages about links and addresses. It ends when a channel is closed or after an
// error; then messages may have been lost.
type subscription struct {
	links  chan netlink.LinkUpdate
	addrs  chan netlink.AddrUpdate
	failed chan error
	done   chan struct{}
}

func newSubscription() *subscription {
	return &subscription{
		links: make(chan netlink.LinkUpdate, 64), addrs: make(chan netlink.AddrUpdate, 64),
		failed: make(chan error, 1), done: make(chan struct{}),
	}
}

// subscribe first tries to set a receive buffer beyond the system's limit, which needs CAP_NET_ADMIN.
func subscribe() (*subscription, error) {
	s, err := subscribeWith(true)
	if err != nil {
		s, err = subscribeWith(false)
	}
	return s, err
}

func subscribeWith(force bool) (*subscription, error) {
	s := newSubscription()
	err := netlink.LinkSubscribeWithOptions(s.links, s.done, netlink.LinkSubscribeOptions{
		ErrorCallback: s.fail, ReceiveBufferSize: netlinkBuffer, ReceiveBufferForceSize: force,
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to link changes: %w", err)
	}
	err = netlink.AddrSubscribeWithOptions(s.addrs, s.done, netlink.AddrSubscribeOptions{
		ErrorCallback: s.fail, ReceiveBufferSize: netlinkBuffer, ReceiveBufferForceSize: force,
	})
	if err != nil {
		close(s.addrs)
		s.stop()
		return nil, fmt.Errorf("subscribe to address changes: %w", err)
	}
	return s, nil
}

func (s *subscription) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// stop ends the subscription. It discards messages that the senders still deliver, so that they do not block.
func (s *subscription) stop() {
	close(s.done)
	go drain(s.links)
	go drain(s.addrs)
}

func drain[T any](ch <-chan T) {
	for range ch {
	}
}

// reason returns the error that ended the subscription.
func (s *subscription) reason() error {
	select {
	case err := <-s.failed:
		return err
	default:
		return errors.New("route netlink subscription ended")
	}
}

// listInterfaces reads the kernel's tables. It repeats a dump that was interrupted by a change.
func listInterfaces(h lister) (*interfaceTable, error) {
	t := newInterfaceTable()
	return t, t.read(h)
}

// read replaces what the table contains, whose memory it reuses, with the kernel's tables.
func (t *interfaceTable) read(h lister) error {
	return retryTransient(func() error {
		t.empty()
		links, err := h.LinkList()
		if err != nil {
			return fmt.Errorf("list interfaces: %w", err)
		}
		for _, l := range links {
			t.setLink(l)
		}
		if err := h.Addresses(t.setAddress); err != nil {
			return fmt.Errorf("list addresses: %w", err)
		}
		return nil
	})
}
