package healthcheck

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"syscall"
	"time"
)

// errnos describes why a connection failed. NotChecked means that this host could not run the check.
var errnos = []struct {
	errno  syscall.Errno
	reason Reason
	detail string
}{
	{syscall.ECONNREFUSED, Refused, "connection refused"},
	{syscall.ECONNRESET, Closed, "connection reset"},
	{syscall.EPIPE, Closed, "connection reset"},
	{syscall.ETIMEDOUT, TimedOut, "connection timed out"},
	{syscall.EHOSTUNREACH, Unreachable, "no route to host"},
	{syscall.ENETUNREACH, Unreachable, "network unreachable"},
	{syscall.EPERM, Unreachable, "blocked by a packet filter on this host"},
	{syscall.EACCES, Unreachable, "blocked by a route or a packet filter on this host"},
	{syscall.EMFILE, NotChecked, "too many open files; raise the limit of open files (LimitNOFILE)"},
	{syscall.ENFILE, NotChecked, "too many open files on this host; raise fs.file-max"},
	{syscall.EADDRNOTAVAIL, NotChecked, "no local address or port to connect from"},
	{syscall.EAGAIN, NotChecked, "out of local ports or watched file descriptors"},
	{syscall.ENOBUFS, NotChecked, "out of socket buffers"},
	{syscall.ENOMEM, NotChecked, "out of memory"},
}

// shortage is a resource of this host that a check needed and could not get.
type shortage string

func (s shortage) Error() string { return string(s) }

// notChecked returns the result of a check that this host could not run.
func notChecked(why string) Result {
	return Result{Local: true, Reason: NotChecked, Detail: "not checked: " + why}
}

// failed returns the result of a check that ended with an error. doing is what was in progress, or empty for connecting.
func failed(ctx context.Context, timeout time.Duration, doing string, err error) Result {
	while := func(reason Reason, detail string) Result {
		if doing != "" {
			detail += " " + doing
		}
		return Result{Reason: reason, Detail: detail}
	}
	if lack, ok := errors.AsType[shortage](err); ok {
		return notChecked(string(lack))
	}
	if cause := ctx.Err(); errors.Is(cause, context.DeadlineExceeded) {
		return while(TimedOut, "timeout after "+timeout.String())
	} else if cause != nil {
		return notChecked("cancelled")
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return notChecked("this host has no certificate authorities; install ca-certificates, or set ca_file")
	}
	for _, e := range errnos {
		if !errors.Is(err, e.errno) {
			continue
		}
		if e.reason == NotChecked {
			return notChecked(e.detail)
		}
		return while(e.reason, e.detail)
	}
	if detail := describeTLS(err); detail != "" {
		return Result{Reason: Handshake, Detail: detail}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return while(Closed, "connection closed")
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return while(Failed, errno.Error())
	}
	if doing == "" {
		return Result{Reason: Failed, Detail: err.Error()}
	}
	// The text of other errors may quote what the server sent, which may include the headers of our request.
	return while(Protocol, "protocol error")
}
