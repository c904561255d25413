package speaker

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/host"
)

const (
	resyncInterval  = 5 * time.Second // in case kernel messages were lost
	resubscribeWait = 100 * time.Millisecond

	// denseNews is how long to collect messages that follow others closely: each report costs more than many messages. A costly
	// report is followed by a longer rest, restParts times as long as it took, so that a thousand added addresses do not
	// use up a CPU.
	denseNews = 2 * time.Millisecond
	mostNews  = 20 * time.Millisecond
	restParts = 8
)

// watcher tracks the interfaces of this network namespace and reports each change. It uses the kernel's messages, and
// rereads the complete state after lost messages and every few seconds.
type watcher struct {
	log     *slog.Logger
	handle  routeHandle
	deleted func() // called when any address was deleted

	// changed is called when an interface is new, changed or gone (Index 0). If it has only got more addresses, it has grown.
	changed func(ifc netInterface, grown bool)

	list      func() (*interfaceTable, error)
	subscribe func() (*subscription, error)

	mu    sync.Mutex
	known map[string]netInterface
}

func newWatcher(log *slog.Logger) (*watcher, error) {
	h, err := openRouteHandle()
	if err != nil {
		return nil, err
	}
	last := newInterfaceTable()
	return &watcher{
		log: log, handle: h, known: map[string]netInterface{},
		list: func() (*interfaceTable, error) {
			t := last.next()
			if err := t.read(h); err != nil {
				return nil, err
			}
			last = t
			return t, nil
		},
		subscribe: subscribe,
	}, nil
}

// lookup returns the state of an interface; Index is 0 if it does not exist.
func (w *watcher) lookup(name string) netInterface {
	w.mu.Lock()
	defer w.mu.Unlock()
	ifc, ok := w.known[name]
	if !ok {
		return netInterface{Name: name}
	}
	return ifc
}

// owns reports whether an interface has the hardware address.
func (w *watcher) owns(mac net.HardwareAddr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ifc := range w.known {
		if slices.Equal(ifc.Hardware, mac) {
			return true
		}
	}
	return false
}

// below returns the index of the interface that a macvlan is on; for others, the same index.
func (w *watcher) below(index int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ifc := range w.known {
		if ifc.Index == index && ifc.Below != 0 {
			return ifc.Below
		}
	}
	return index
}

// publish compares the table with the known state and reports the differences.
func (w *watcher) publish(t *interfaceTable) {
	now := t.byName()
	var news []func()
	w.mu.Lock()
	for name, ifc := range now {
		if old, ok := w.known[name]; !ok || !old.equal(ifc) {
			grown := ok && old.growsTo(ifc)
			news = append(news, func() { w.changed(ifc, grown) })
		}
	}
	for name := range w.known {
		if _, ok := now[name]; !ok {
			news = append(news, func() { w.changed(netInterface{Name: name}, false) })
		}
	}
	w.known = now
	w.mu.Unlock()
	for _, report := range news {
		report()
	}
}

// resync reads all interfaces and addresses.
func (w *watcher) resync() (*interfaceTable, error) {
	t, err := w.list()
	if err != nil {
		return nil, err
	}
	w.publish(t)
	return t, nil
}

// run tracks the kernel's state until ctx ends. After a subscription has failed, for example because messages were lost, it
// creates a new one and rereads the complete state.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.follow(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("kernel messages lost; reading all interfaces again", "error", err)
			pause(ctx, resubscribeWait)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (w *watcher) follow(ctx context.Context) error {
	s, err := w.subscribe()
	if err != nil {
		return err
	}
	defer s.stop()
	table, err := w.resync()
	if err != nil {
		return err
	}
	var published time.Time
	rest := denseNews
	tick := time.NewTicker(resyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			return err
		case <-tick.C:
			if table, err = w.resync(); err != nil {
				return err
			}
			continue
		case u, ok := <-s.links:
			if !ok {
				return s.reason()
			}
			applyLink(table, u)
		case u, ok := <-s.addrs:
			if !ok {
				return s.reason()
			}
			w.applyAddress(table, u)
		}
		if time.Since(published) < rest {
			pause(ctx, rest)
		}
		w.applyWaiting(table, s)
		began := time.Now()
		w.publish(table)
		published = time.Now()
		rest = min(max(restParts*published.Sub(began), denseNews), mostNews)
	}
}

// applyWaiting applies the remaining queued messages, so that a thousand changed addresses cause one report.
func (w *watcher) applyWaiting(t *interfaceTable, s *subscription) {
	for {
		select {
		case u, ok := <-s.links:
			if !ok {
				return
			}
			applyLink(t, u)
		case u, ok := <-s.addrs:
			if !ok {
				return
			}
			w.applyAddress(t, u)
		default:
			return
		}
	}
}

func applyLink(t *interfaceTable, u netlink.LinkUpdate) {
	if u.IfInfomsg.Family == unix.AF_BRIDGE {
		return // a port that leaves its bridge is reported as a deleted link
	}
	if u.Header.Type == unix.RTM_DELLINK {
		t.dropLink(int(u.IfInfomsg.Index))
		return
	}
	t.setLink(u.Link)
}

func (w *watcher) applyAddress(t *interfaceTable, u netlink.AddrUpdate) {
	p, ok := host.Prefix(&u.LinkAddress)
	if !ok {
		return
	}
	if u.NewAddr {
		t.setAddress(u.LinkIndex, p, u.Flags)
		return
	}
	t.dropAddress(u.LinkIndex, p)
	w.deleted()
}
