package ipvsnl

import (
	"errors"
	"syscall"

	"github.com/mdlayher/netlink"
)

// Error is the kernel's refusal of a request. It unwraps to the errno.
type Error struct {
	Errno  syscall.Errno
	Detail string // the kernel's own words, if it has some
	Mend   string // what to do about it, if that is known
}

// Error returns the errno's text, the kernel's own words and the mend.
func (e *Error) Error() string {
	text := e.Errno.Error()
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Mend != "" {
		text += ": " + e.Mend
	}
	return text
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// mends are true of every request.
var mends = map[syscall.Errno]string{
	syscall.EPERM:   "CAP_NET_ADMIN is missing; run as root or grant it",
	syscall.ENOMEM:  "the kernel is out of memory",
	syscall.ENOBUFS: "the kernel is out of memory or the socket's buffer is full",
}

// Explain turns a refusal into an Error whose mend is looked up in those of the request and then in those of all
// requests. Other errors are returned as they are.
func Explain(err error, request map[syscall.Errno]string) error {
	op, ok := errors.AsType[*netlink.OpError](err)
	if !ok || op.Sequence == 0 {
		return err
	}
	errno, ok := errors.AsType[syscall.Errno](op.Err)
	if !ok {
		return err
	}
	mend, ok := request[errno]
	if !ok {
		mend = mends[errno]
	}
	return &Error{Errno: errno, Detail: op.Message, Mend: mend}
}
