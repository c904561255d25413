package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// access is what a caller may do.
type access int

const (
	mayNothing access = iota
	mayRead
	mayWrite
)

// caller is who sent a request. The name is empty if it is unknown.
type caller struct {
	name string
	may  access
}

type (
	connectionKey struct{} // of a request's connection in its context
	callerKey     struct{} // of a request's caller in its context
)

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// localCaller returns who sent a request through the Unix socket: the user of the peer's process and, if it differs, of its
// login session. Root and the user of this process may write. Others that the socket's mode admits may read.
func localCaller(r *http.Request) (caller, error) {
	peer, err := peerOf(r.Context())
	if err != nil {
		return caller{}, err
	}
	c := caller{name: userName(peer.Uid), may: mayRead}
	if peer.Uid == 0 || int(peer.Uid) == os.Geteuid() {
		c.may = mayWrite
	}
	if login, ok := loginOf(peer.Pid); ok && login != peer.Uid {
		c.name = userName(login) + " as " + c.name
	}
	return c, nil
}

// peerOf returns the credentials of the process at the other end of a Unix socket when it connected (unix(7), SO_PEERCRED).
func peerOf(ctx context.Context) (peer *unix.Ucred, err error) {
	conn, ok := ctx.Value(connectionKey{}).(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a Unix socket")
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return peer, errors.Join(failed, err)
}

// loginOf returns the user of a process's login session (proc(5), /proc/pid/loginuid).
func loginOf(pid int32) (uid uint32, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return 0, false
	}
	const none = 1<<32 - 1
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	return uint32(n), err == nil && n != none
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
