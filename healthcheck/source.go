package healthcheck

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// bind applies the source to a socket that is not connected.
func (s Source) bind(fd, family int) error {
	if s.Mark != 0 {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(s.Mark))
		if errors.Is(err, unix.EPERM) {
			return shortage("setting a firewall mark requires CAP_NET_ADMIN")
		}
		if err != nil {
			return fmt.Errorf("set the firewall mark: %w", err)
		}
	}
	if s.Interface != "" {
		err := unix.BindToDevice(fd, s.Interface)
		switch {
		case errors.Is(err, unix.ENODEV):
			return shortage("this host has no interface " + s.Interface)
		case errors.Is(err, unix.EPERM):
			return shortage("using interface " + s.Interface + " requires CAP_NET_RAW")
		case err != nil:
			return fmt.Errorf("use interface %s: %w", s.Interface, err)
		}
	}
	if !s.Address.IsValid() {
		return nil
	}
	from, of, err := socketAddress(netip.AddrPortFrom(s.Address, 0))
	if err != nil {
		return err
	}
	if of != family {
		return shortage("the source address " + s.Address.String() + " is of another address family than the server's")
	}
	// The kernel chooses the port when the destination is known: otherwise, all checks would share 28,000 ports. It is not
	// an error if the protocol has no ports.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	return unix.Bind(fd, from)
}
