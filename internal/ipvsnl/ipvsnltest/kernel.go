// Package ipvsnltest is a scripted kernel for tests of what speaks to the generic netlink family "IPVS". It records the
// exact commands, flags and bytes, and answers as the kernel does: one datagram for each acknowledgement or refusal, a
// multi-part message for a dump.
package ipvsnltest

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"syscall"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nltest"
	"golang.org/x/sys/unix"
)

// Family is the number that the scripted kernel gives to the family.
const Family = 0x20

// Call is a request that the kernel received.
type Call struct {
	Command    uint8
	Version    uint8
	Flags      netlink.HeaderFlags
	Attributes []byte
}

// Answer is what the kernel says to a call: attributes of messages, or a refusal.
type Answer struct {
	Messages    [][]byte
	Errno       syscall.Errno
	Interrupted bool // the dump is marked as inconsistent
	Lost        bool // nothing comes, ever
}

// Kernel answers with Handle. It is safe for concurrent use; Handle is called under its lock.
type Kernel struct {
	Handle   func(Call) Answer
	NoFamily bool // the kernel has no IPVS

	mu      sync.Mutex
	calls   []Call
	sockets int
	gone    chan struct{}
}

// New returns a kernel that answers with handle.
func New(handle func(Call) Answer) *Kernel {
	return &Kernel{Handle: handle, gone: make(chan struct{})}
}

// Release ends the waits for lost answers so far, with an error.
func (k *Kernel) Release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.gone)
	k.gone = make(chan struct{})
}

// Calls returns the requests to the family so far.
func (k *Kernel) Calls() []Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.calls)
}

// Sockets returns how often Dial was called.
func (k *Kernel) Sockets() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sockets
}

// Dial opens a socket.
func (k *Kernel) Dial() (*netlink.Conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sockets++
	var queue [][]netlink.Message
	return nltest.Dial(func(requests []netlink.Message) ([]netlink.Message, error) {
		k.mu.Lock()
		for _, r := range requests {
			queue = append(queue, k.answer(r)...)
		}
		if len(requests) > 0 {
			k.mu.Unlock()
			return nil, nil // each datagram is handed out by a receive
		}
		if len(queue) == 0 {
			gone := k.gone
			k.mu.Unlock()
			<-gone
			return nil, errors.New("the scripted kernel has nothing to say")
		}
		next := queue[0]
		queue = queue[1:]
		k.mu.Unlock()
		return next, nil
	}), nil
}

// answer returns the datagrams that answer one request.
func (k *Kernel) answer(r netlink.Message) [][]netlink.Message {
	var m genetlink.Message
	if err := m.UnmarshalBinary(r.Data); err != nil {
		return refuse(r, syscall.EINVAL)
	}
	if r.Header.Type == unix.GENL_ID_CTRL {
		if k.NoFamily {
			return refuse(r, syscall.ENOENT)
		}
		return [][]netlink.Message{{message(r, unix.GENL_ID_CTRL, family())}}
	}
	call := Call{Command: m.Header.Command, Version: m.Header.Version, Flags: r.Header.Flags, Attributes: m.Data}
	k.calls = append(k.calls, call)
	a := k.Handle(call)
	switch {
	case a.Lost:
		return nil
	case a.Errno != 0:
		return refuse(r, a.Errno)
	case r.Header.Flags&netlink.Dump == netlink.Dump:
		return [][]netlink.Message{dump(r, a)}
	}
	var datagrams [][]netlink.Message
	for _, attributes := range a.Messages {
		datagrams = append(datagrams, []netlink.Message{message(r, Family, attributes)})
	}
	if r.Header.Flags&netlink.Acknowledge != 0 {
		datagrams = append(datagrams, refuse(r, 0)...)
	}
	return datagrams
}

func dump(r netlink.Message, a Answer) []netlink.Message {
	var list []netlink.Message
	for _, attributes := range a.Messages {
		m := message(r, Family, attributes)
		m.Header.Flags |= netlink.Multi
		if a.Interrupted {
			m.Header.Flags |= netlink.DumpInterrupted
		}
		list = append(list, m)
	}
	done := netlink.Message{Header: r.Header, Data: make([]byte, 4)}
	done.Header.Type, done.Header.Flags = netlink.Done, netlink.Multi
	return append(list, done)
}

// message wraps attributes in an answer to r.
func message(r netlink.Message, family netlink.HeaderType, attributes []byte) netlink.Message {
	data := append([]byte{0, 1, 0, 0}, attributes...) // command, version, reserved
	return netlink.Message{
		Header: netlink.Header{Type: family, Sequence: r.Header.Sequence, PID: r.Header.PID},
		Data:   data,
	}
}

// refuse answers with an errno, or acknowledges with 0.
func refuse(r netlink.Message, errno syscall.Errno) [][]netlink.Message {
	data := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	return [][]netlink.Message{{{
		Header: netlink.Header{Type: netlink.Error, Sequence: r.Header.Sequence, PID: r.Header.PID},
		Data:   append(data, make([]byte, 16)...), // the request's header
	}}}
}

func family() []byte {
	return nltest.MustMarshalAttributes([]netlink.Attribute{
		{Type: unix.CTRL_ATTR_FAMILY_ID, Data: binary.NativeEndian.AppendUint16(nil, Family)},
		{Type: unix.CTRL_ATTR_FAMILY_NAME, Data: []byte("IPVS\x00")},
		{Type: unix.CTRL_ATTR_VERSION, Data: binary.NativeEndian.AppendUint32(nil, 1)},
	})
}
