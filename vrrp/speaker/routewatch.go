package speaker

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// routeWatcher reports deleted routes and rules that had routeProtocol.
type routeWatcher struct {
	log     *slog.Logger
	deleted func()
	wake    wakeup // when there is something to watch
}

// Positions in a route netlink message: of struct nlmsghdr's type and of struct rtmsg's protocol.
const (
	messageTypeAt   = 4
	routeProtocolAt = unix.NLMSG_HDRLEN + 5
)

// routeFilter passes the deletion of a rule or of one of our routes. A host with all routes of the internet has thousands of
// changes a second.
func routeFilter() []bpf.Instruction {
	// A load converts from network byte order, but netlink has the host's.
	kind := func(k uint16) uint32 {
		return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, k)))
	}
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: messageTypeAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: kind(unix.RTM_DELRULE), SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: kind(unix.RTM_DELROUTE), SkipTrue: 3},
		bpf.LoadAbsolute{Off: routeProtocolAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: routeProtocol, SkipTrue: 1},
		bpf.RetConstant{Val: wholePacket},
		bpf.RetConstant{Val: 0},
	}
}

// run watches until ctx ends, from the first time that wake is notified. Without it, the keeper's regular checks remain.
func (w *routeWatcher) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-w.wake:
	}
	file, err := openRouteMessages()
	if err != nil {
		w.log.Warn("deleted routes are noticed only by regular checks", "error", err)
		return
	}
	defer context.AfterFunc(ctx, func() { file.Close() })()
	buffer := make([]byte, 64<<10)
	for ctx.Err() == nil {
		if _, err := file.Read(buffer); err != nil && ctx.Err() == nil {
			w.log.Debug("messages about routes lost", "error", err)
		}
		w.deleted()
		pause(ctx, restorePause)
	}
}

func openRouteMessages() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	if err := attachFilter(fd, routeFilter()); err != nil {
		unix.Close(fd)
		return nil, err
	}
	groups := uint32(0)
	for _, g := range []int{unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE} {
		groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to route changes: %w", err)
	}
	return os.NewFile(uintptr(fd), "route netlink"), nil
}
