package main

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/lvs-ha/lvs-ha/internal/lab/guest"
)

// openManagement moves the management card into a separate network namespace and opens its two sockets there: the
// listener for commands and the connection to the lab.
func openManagement(m guest.Management) (net.Listener, net.Conn, error) {
	type result struct {
		ln    net.Listener
		ready net.Conn
		err   error
	}
	done := make(chan result)
	go func() {
		// The thread stays in the other namespace and ends with this goroutine.
		runtime.LockOSThread()
		var r result
		r.ln, r.ready, r.err = manage(m)
		done <- r
	}()
	r := <-done
	if r.err != nil {
		return nil, nil, fmt.Errorf("open the management network: %w", r.err)
	}
	return r.ln, r.ready, nil
}

func manage(m guest.Management) (net.Listener, net.Conn, error) {
	link, err := netlink.LinkByName(m.Device)
	if err != nil {
		return nil, nil, fmt.Errorf("find network card %s: %w", m.Device, err)
	}
	home, err := netns.Get()
	if err != nil {
		return nil, nil, err
	}
	away, err := netns.New()
	if err != nil {
		return nil, nil, err
	}
	inHome, err := netlink.NewHandleAt(home, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, nil, err
	}
	defer inHome.Close()
	if err := inHome.LinkSetNsFd(link, int(away)); err != nil {
		return nil, nil, fmt.Errorf("move network card %s: %w", m.Device, err)
	}
	if err := setUpLink(m.Device, m.Device, 0, []netip.Prefix{m.Address}); err != nil {
		return nil, nil, err
	}
	ln, err := net.Listen("tcp", m.Listen.String())
	if err != nil {
		return nil, nil, err
	}
	ready, err := net.DialTimeout("tcp", m.Ready.String(), 10*time.Second)
	if err != nil {
		return nil, nil, err
	}
	return ln, ready, nil
}
