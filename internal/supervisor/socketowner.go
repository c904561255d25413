package supervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// linux/unix_diag.h
const (
	unixDiagShowUID = 0x40
	unixDiagUID     = 7

	unixDiagMessageSize = 16
	sockDiagByFamily    = 20
)

var errNoOwner = errors.New("the kernel did not report the socket's owner")

// socketOwner returns the user that created a Unix socket of this network namespace. Without CAP_SYS_PTRACE, /proc does
// not show that of other users' sockets.
func socketOwner(inode string) (uid uint32, err error) {
	number, err := strconv.ParseUint(inode, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("socket %q: %w", inode, err)
	}
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return 0, fmt.Errorf("looking up the owner of a socket: %w", err)
	}
	defer conn.Close()
	// struct unix_diag_req
	request := []byte{unix.AF_UNIX, 0, 0, 0}
	for _, field := range []uint32{^uint32(0), uint32(number), unixDiagShowUID, ^uint32(0), ^uint32(0)} { // states, inode, show, no cookie
		request = binary.NativeEndian.AppendUint32(request, field)
	}
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request},
		Data:   request,
	})
	if err != nil {
		return 0, fmt.Errorf("looking up the owner of a socket: %w", err)
	}
	for _, answer := range answers {
		if len(answer.Data) < unixDiagMessageSize {
			continue
		}
		attributes, err := netlink.NewAttributeDecoder(answer.Data[unixDiagMessageSize:])
		if err != nil {
			return 0, fmt.Errorf("looking up the owner of a socket: %w", err)
		}
		for attributes.Next() {
			if attributes.Type() == unixDiagUID {
				return attributes.Uint32(), attributes.Err()
			}
		}
	}
	return 0, errNoOwner
}
