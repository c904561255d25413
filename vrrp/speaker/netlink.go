package speaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	netlinkTimeout = 2 * time.Second
	netlinkBuffer  = 4 << 20 // bytes
)

// subscription is the kernel's messages about links and addresses. It ends when a channel is closed or something has
// failed; then messages may have been lost.
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

// subscribe asks for a receive buffer beyond the system's limit first, which needs CAP_NET_ADMIN.
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

// stop ends it. Its senders may be about to send: what they still have is thrown away.
func (s *subscription) stop() {
	close(s.done)
	go drain(s.links)
	go drain(s.addrs)
}

func drain[T any](ch <-chan T) {
	for range ch {
	}
}

// reason is why it ended.
func (s *subscription) reason() error {
	select {
	case err := <-s.failed:
		return err
	default:
		return errors.New("route netlink subscription ended")
	}
}

// listInterfaces reads the kernel's tables. A dump that something else disturbed is read again.
func listInterfaces(h *netlink.Handle) (*interfaceTable, error) {
	for range 5 {
		t, err := readInterfaces(h)
		if err == nil || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return t, err
		}
	}
	return nil, fmt.Errorf("list interfaces: %w", netlink.ErrDumpInterrupted)
}

func readInterfaces(h *netlink.Handle) (*interfaceTable, error) {
	links, err := h.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addrs, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	t := newInterfaceTable()
	for _, l := range links {
		t.setLink(l)
	}
	for _, a := range addrs {
		if p, ok := prefixOf(a.IPNet); ok {
			t.setAddress(a.LinkIndex, p, a.Flags)
		}
	}
	return t, nil
}
