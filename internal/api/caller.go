package api

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// connectionKey is the key of a request's connection in its context.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// callerOf returns the name of the user who sent a request: that of the peer's process and, if it differs, of its login session.
// It is empty if it is unknown.
func callerOf(ctx context.Context) string {
	conn, ok := ctx.Value(connectionKey{}).(*net.UnixConn)
	if !ok {
		return ""
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return ""
	}
	var peer *unix.Ucred
	if failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); failed != nil || err != nil {
		return ""
	}
	name := userName(peer.Uid)
	if login, ok := loginOf(peer.Pid); ok && login != peer.Uid {
		return userName(login) + " as " + name
	}
	return name
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
