package healthcheck

import (
	"context"
	"crypto/x509"
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

// shortage is what this machine lacks to carry out a check.
type shortage string

func (s shortage) Error() string { return string(s) }

// failed is the result of a check that ended with an error; doing says what was under way, and is empty for connecting.
func failed(ctx context.Context, timeout time.Duration, doing string, err error) Result {
	while := func(detail string) Result {
		if doing != "" {
			detail += " " + doing
		}
		return Result{Detail: detail}
	}
	if lack, ok := errors.AsType[shortage](err); ok {
		return Result{Local: true, Detail: "not checked: " + string(lack)}
	}
	if cause := ctx.Err(); errors.Is(cause, context.DeadlineExceeded) {
		return while("timeout after " + timeout.String())
	} else if cause != nil {
		return Result{Local: true, Detail: "not checked: cancelled"}
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return Result{Local: true, Detail: "not checked: this machine has no certificate authorities; install ca-certificates, or set ca_file"}
	}
	for _, e := range errnos {
		if !errors.Is(err, e.errno) {
			continue
		}
		if e.local {
			return Result{Local: true, Detail: e.detail}
		}
		return while(e.detail)
	}
	if detail := describeTLS(err); detail != "" {
		return Result{Detail: detail}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return while("connection closed")
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return while(errno.Error())
	}
	if doing == "" {
		return Result{Detail: err.Error()}
	}
	// The text of other errors may quote what the server sent, and a server may send our headers back.
	return while("protocol error")
}
