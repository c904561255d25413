package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// cable connects a host's interface to a bridge.
type cable struct {
	port   netlink.Link
	bridge *Bridge
}

// addCable records which interface is connected to the port, also on the port itself.
func (l *Lab) addCable(host string, nic NIC, port netlink.Link) error {
	if err := l.fabric.netlink.LinkSetAlias(port, host+" "+nic.Name); err != nil {
		return fmt.Errorf("name the port: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cables[host+" "+nic.Name] = cable{port: port, bridge: nic.Bridge}
	return nil
}

// Unplug disconnects a host's or a director's interface from its bridge. Its carrier stays up.
func (l *Lab) Unplug(host, iface string) error {
	c, err := l.cable(host, iface)
	if err == nil {
		err = l.fabric.netlink.LinkSetNoMaster(c.port)
	}
	if err != nil {
		return fmt.Errorf("unplug %s of %s: %w", iface, host, err)
	}
	return nil
}

// Plug connects an unplugged interface to its bridge again.
func (l *Lab) Plug(host, iface string) error {
	c, err := l.cable(host, iface)
	if err == nil {
		err = l.fabric.netlink.LinkSetMaster(c.port, c.bridge.link)
	}
	if err == nil {
		err = l.awaitForwarding(context.Background(), c.port)
	}
	if err != nil {
		return fmt.Errorf("plug in %s of %s: %w", iface, host, err)
	}
	return nil
}

// Dropped returns the number of frames that a host's or a director's interface dropped for lack of buffers.
func (l *Lab) Dropped(host, iface string) (int, error) {
	c, err := l.cable(host, iface)
	if err == nil {
		c.port, err = l.fabric.netlink.LinkByName(c.port.Attrs().Name)
	}
	if err != nil {
		return 0, fmt.Errorf("count what %s of %s dropped: %w", iface, host, err)
	}
	return int(c.port.Attrs().Statistics.TxDropped), nil
}

func (l *Lab) cable(host, iface string) (cable, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.cables[host+" "+iface]
	if !ok {
		return cable{}, errors.New("there is no such card")
	}
	return c, nil
}

// awaitForwarding waits until a bridge port forwards, which the kernel enables asynchronously once both ends are up.
// Earlier frames would be lost, and ARP retries only after a second.
func (l *Lab) awaitForwarding(ctx context.Context, port netlink.Link) error {
	const forwarding = "3" // BR_STATE_FORWARDING, include/uapi/linux/if_bridge.h
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	path := filepath.Join("/sys/class/net", port.Attrs().Name, "brport/state")
	err := Await(ctx, func() bool {
		var state []byte
		err := l.fabric.spawner.do(func() (err error) {
			state, err = os.ReadFile(path)
			return err
		})
		return err == nil && strings.TrimSpace(string(state)) == forwarding
	})
	if err != nil {
		return fmt.Errorf("wait until the bridge port forwards: %w", err)
	}
	return nil
}
