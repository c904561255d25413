package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// OwnEnvironment lists the environment variables with which systemd addresses the parent; they are not passed to
// workers.
var OwnEnvironment = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"}

// notify reports to systemd, if it started this process (sd_notify(3)).
func (p *Parent) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		p.Logger.Warn("cannot notify systemd", "state", state, "error", err)
	}
}

// notifyReloading reports the start of a reload, which the next READY=1 ends.
func (p *Parent) notifyReloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		p.Logger.Warn("cannot read the monotonic clock", "error", err)
	}
	p.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d\nSTATUS=Reloading the configuration.", daemon.SdNotifyReloading, now.Nano()/int64(time.Microsecond)))
}

// feedWatchdog resets systemd's watchdog while all workers are ready. The parent itself replaces workers that hang: the
// watchdog is for a parent that hangs, or that cannot start a worker.
func (p *Parent) feedWatchdog(ctx context.Context) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return
	}
	tick := time.NewTicker(interval / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if p.isHealthy() {
				p.notify(daemon.SdNotifyWatchdog)
			}
		}
	}
}
