package sysctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	watchPause = 100 * time.Millisecond // after a report: a program may change a parameter repeatedly
	watchRetry = 5 * time.Second
)

// Watch reports when forwarding of this network namespace may have been changed, until ctx ends. The kernel reports no other
// parameter that ForNAT sets.
func Watch(ctx context.Context, log *slog.Logger, changed func()) {
	for failures := 0; ctx.Err() == nil; failures++ {
		err := watch(ctx, changed)
		if failures == 0 && ctx.Err() == nil {
			log.Warn("cannot watch kernel parameters; changes are detected by the next repair", "error", err)
		}
		pause(ctx, watchRetry)
	}
}

func watch(ctx context.Context, changed func()) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		Groups: 1<<(unix.RTNLGRP_IPV4_NETCONF-1) | 1<<(unix.RTNLGRP_IPV6_NETCONF-1),
	})
	if err != nil {
		return fmt.Errorf("subscribe to changes of kernel parameters: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	changed() // earlier changes were not reported
	for {
		messages, err := conn.Receive()
		switch lost := errors.Is(err, unix.ENOBUFS); {
		case err != nil && !lost:
			return fmt.Errorf("receive changes of kernel parameters: %w", err)
		case lost || anyForwarding(messages):
			changed()
			pause(ctx, watchPause)
		}
	}
}

// Attributes of a message, linux/netconf.h.
const (
	netconfIfindex    = 1
	netconfForwarding = 2

	ifindexAll = -1
)

// anyForwarding reports whether a message is about forwarding in the whole namespace. The kernel also sends messages about
// single interfaces, for each new one.
func anyForwarding(messages []netlink.Message) bool {
	const header = 4 // struct netconfmsg of linux/netconf.h, aligned
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWNETCONF || len(m.Data) < header {
			continue
		}
		attributes, err := netlink.NewAttributeDecoder(m.Data[header:])
		if err != nil {
			continue
		}
		all, forwarding := false, false
		for attributes.Next() {
			switch attributes.Type() {
			case netconfIfindex:
				all = attributes.Int32() == ifindexAll
			case netconfForwarding:
				forwarding = true
			}
		}
		if all && forwarding {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
