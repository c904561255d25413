package ipvsnl

import (
	"errors"
	"syscall"

	"github.com/mdlayher/netlink"
)

// Error is the kernel's refusal of a request. It unwraps to the errno.
type Error struct {
	Errno  syscall.Errno
	Detail string // the kernel's message, if any
	Remedy string // if known
}

// Error returns the errno's text, the kernel's message and the remedy.
func (e *Error) Error() string {
	text := e.Errno.Error()
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// remedies apply to every request.
var remedies = map[syscall.Errno]string{
	syscall.EPERM:   "CAP_NET_ADMIN is missing; run as root or grant it",
	syscall.ENOMEM:  "the kernel is out of memory",
	syscall.ENOBUFS: "the kernel is out of memory or the socket's buffer is full",
}

// Explain turns a refusal into an Error with the remedy for the request, or else the one for all requests. Other errors
// are returned unchanged.
func Explain(err error, request map[syscall.Errno]string) error {
	op, ok := errors.AsType[*netlink.OpError](err)
	if !ok || op.Sequence == 0 {
		return err
	}
	errno, ok := errors.AsType[syscall.Errno](op.Err)
	if !ok {
		return err
	}
	remedy, ok := request[errno]
	if !ok {
		remedy = remedies[errno]
	}
	return &Error{Errno: errno, Detail: op.Message, Remedy: remedy}
}
