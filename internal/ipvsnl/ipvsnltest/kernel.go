// Package ipvsnltest is a scripted kernel for tests of what speaks to the generic netlink family "IPVS". It records the
// exact commands, flags and bytes, and answers as the kernel does: one datagram for each acknowledgement or refusal, a
// multi-part message for a dump.
package ipvsnltest

import (
	"encoding/binary"
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
	Hangs       bool // the system call does not return until Release
}

// Op is a system call.
type Op string

// The system calls.
const (
	Open    Op = "open"
	Send    Op = "send"
	Receive Op = "receive"
)

// Lost is a fault of a send whose answers get lost: the call works.
const Lost = syscall.Errno(1 << 16)

// Kernel answers with Handle. It is safe for concurrent use; Handle and Fault are called under its lock.
type Kernel struct {
	Handle   func(Call) Answer
	NoFamily bool // the kernel has no IPVS

	// Fault, if set, is asked before the nth system call, from 0. An errno keeps the call from being done.
	Fault func(n int, op Op) syscall.Errno

	mu       sync.Mutex
	calls    []Call
	system   int // calls so far
	sockets  int
	released chan struct{}
}

// New returns a kernel that answers with handle.
func New(handle func(Call) Answer) *Kernel {
	return &Kernel{Handle: handle, released: make(chan struct{})}
}

// Release ends the system calls that hang.
func (k *Kernel) Release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.released)
	k.released = make(chan struct{})
}

// Calls returns the requests to the family so far.
func (k *Kernel) Calls() []Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.calls)
}

// SystemCalls returns how many system calls there were so far.
func (k *Kernel) SystemCalls() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.system
}

// Sockets returns how often Dial was called.
func (k *Kernel) Sockets() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sockets
}

// fault counts a system call.
func (k *Kernel) fault(op Op) syscall.Errno {
	n := k.system
	k.system++
	if k.Fault == nil {
		return 0
	}
	return k.Fault(n, op)
}

// Transport is what package ipvsnl takes for a socket.
type Transport = interface {
	Send(datagram []byte) error
	Receive(buffer []byte) (int, error)
	Close() error
}

// Dial opens a socket.
func (k *Kernel) Dial() (Transport, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sockets++
	if errno := k.fault(Open); errno != 0 {
		return nil, errno
	}
	return &socket{kernel: k}, nil
}

// socket holds the datagrams that were not read yet. It is used under the kernel's lock.
type socket struct {
	kernel *Kernel
	queue  [][]byte
	closed bool
}

// Send carries out the requests in a datagram.
func (s *socket) Send(datagram []byte) error {
	k := s.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	fault := k.fault(Send)
	switch {
	case s.closed:
		return syscall.EBADF
	case fault != 0 && fault != Lost:
		return fault
	}
	requests, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return err
	}
	for _, r := range requests {
		var m netlink.Message
		m.Header = netlink.Header{Type: netlink.HeaderType(r.Header.Type), Flags: netlink.HeaderFlags(r.Header.Flags), Sequence: r.Header.Seq}
		m.Data = r.Data
		answers, hangs := k.answer(m)
		if hangs {
			released := k.released
			k.mu.Unlock()
			<-released
			k.mu.Lock()
			answers = nil
		}
		for _, a := range answers {
			if fault != Lost {
				s.queue = append(s.queue, encode(a))
			}
		}
	}
	return nil
}

// encode writes the messages of a datagram.
func encode(messages []netlink.Message) []byte {
	var b []byte
	for _, m := range messages {
		m.Header.Length = uint32((16 + len(m.Data) + 3) &^ 3)
		encoded, err := m.MarshalBinary()
		if err != nil {
			panic(err) // a test's own message
		}
		b = append(b, encoded...)
	}
	return b
}

// Receive takes the next datagram.
func (s *socket) Receive(b []byte) (int, error) {
	k := s.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	fault := k.fault(Receive)
	switch {
	case s.closed:
		return 0, syscall.EBADF
	case fault != 0 && fault != Lost:
		return 0, fault
	case len(s.queue) == 0:
		return 0, syscall.EAGAIN
	}
	n := copy(b, s.queue[0])
	s.queue = s.queue[1:]
	return n, nil
}

// Close closes the socket.
func (s *socket) Close() error {
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	s.closed = true
	return nil
}

// answer returns the datagrams that answer one request.
func (k *Kernel) answer(r netlink.Message) (datagrams [][]netlink.Message, hangs bool) {
	var m genetlink.Message
	if err := m.UnmarshalBinary(r.Data); err != nil {
		return refuse(r, syscall.EINVAL), false
	}
	if r.Header.Type == unix.GENL_ID_CTRL {
		if k.NoFamily {
			return refuse(r, syscall.ENOENT), false
		}
		return [][]netlink.Message{{message(r, unix.GENL_ID_CTRL, family())}}, false
	}
	call := Call{Command: m.Header.Command, Version: m.Header.Version, Flags: r.Header.Flags, Attributes: m.Data}
	k.calls = append(k.calls, call)
	a := k.Handle(call)
	switch {
	case a.Lost, a.Hangs:
		return nil, a.Hangs
	case a.Errno != 0:
		return refuse(r, a.Errno), false
	case r.Header.Flags&netlink.Dump == netlink.Dump:
		return [][]netlink.Message{dump(r, a)}, false
	}
	for _, attributes := range a.Messages {
		datagrams = append(datagrams, []netlink.Message{message(r, Family, attributes)})
	}
	if r.Header.Flags&netlink.Acknowledge != 0 {
		datagrams = append(datagrams, refuse(r, 0)...)
	}
	return datagrams, false
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
