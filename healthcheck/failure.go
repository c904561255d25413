package healthcheck

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"
)

// errnos names what a connection fails with. Those that are local mean that this machine could not check.
var errnos = []struct {
	errno  syscall.Errno
	local  bool
	detail string
}{
	{syscall.ECONNREFUSED, false, "connection refused"},
	{syscall.ECONNRESET, false, "connection reset"},
	{syscall.EPIPE, false, "connection reset"},
	{syscall.ETIMEDOUT, false, "connection timed out"},
	{syscall.EHOSTUNREACH, false, "no route to host"},
	{syscall.ENETUNREACH, false, "network unreachable"},
	{syscall.EPERM, false, "forbidden by a packet filter of this machine"},
	{syscall.EACCES, false, "forbidden by a route or packet filter of this machine"},
	{syscall.EMFILE, true, "not checked: too many open files; raise the limit of open files (LimitNOFILE)"},
	{syscall.ENFILE, true, "not checked: too many open files on this machine; raise fs.file-max"},
	{syscall.EADDRNOTAVAIL, true, "not checked: no local address or port to connect from"},
	{syscall.EAGAIN, true, "not checked: out of local ports or of file descriptors to watch"},
	{syscall.ENOBUFS, true, "not checked: out of socket buffers"},
	{syscall.ENOMEM, true, "not checked: out of memory"},
}

// failed is the result of a check that ended with an error; doing says what was under way, and is empty for connecting.
func failed(ctx context.Context, timeout time.Duration, doing string, err error) Result {
	detail, local := describe(ctx, timeout, err)
	if doing != "" && !local {
		detail += " " + doing
	}
	return Result{Local: local, Detail: detail}
}

func describe(ctx context.Context, timeout time.Duration, err error) (detail string, local bool) {
	if cause := ctx.Err(); cause != nil {
		if errors.Is(cause, context.DeadlineExceeded) {
			return "timeout after " + timeout.String(), false
		}
		return "not checked: cancelled", true
	}
	for _, e := range errnos {
		if errors.Is(err, e.errno) {
			return e.detail, e.local
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error(), false
	}
	if detail := describeTLS(err); detail != "" {
		return detail, false
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "connection closed", false
	}
	// The text of other errors may quote what the server sent, and a server may send our headers back.
	return "protocol error", false
}
