package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Frame is a captured Ethernet frame.
type Frame struct {
	Time     time.Time // when the kernel received it
	Outgoing bool      // sent by this interface
	Data     []byte
}

// Capture captures frames of an interface until it is stopped.
type Capture struct {
	file *os.File

	mu     sync.Mutex
	frames []Frame
	more   chan struct{} // closed and replaced with each frame
	next   int
	err    error
}

// Capture starts a capture on an interface of the host, in both directions.
func (h *Node) Capture(iface string, f Filter) (*Capture, error) {
	return h.captureTo(iface, f, nil)
}

// Follow starts a capture that passes each frame to a function instead of storing it, for long captures.
func (h *Node) Follow(iface string, f Filter, take func(Frame)) (*Capture, error) {
	return h.captureTo(iface, f, take)
}

// Follow starts a capture of all frames on the bridge without storing them.
func (b *Bridge) Follow(f Filter, take func(Frame)) (*Capture, error) {
	return b.lab.fabric.captureTo(b.name, f, take)
}

func (h *Node) captureTo(iface string, f Filter, take func(Frame)) (*Capture, error) {
	c, err := h.capture(iface, f, take)
	if err != nil {
		return nil, fmt.Errorf("capture on %s of host %s: %w", iface, h.name, err)
	}
	return c, h.lab.onClose(c.Stop)
}

// Capture starts a capture of all frames on the bridge.
func (b *Bridge) Capture(f Filter) (*Capture, error) {
	return b.lab.fabric.Capture(b.name, f)
}

func (h *Node) capture(iface string, f Filter, take func(Frame)) (*Capture, error) {
	link, err := h.Link(iface)
	if err != nil {
		return nil, err
	}
	filter, err := bpf.Assemble(f.program())
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	var fd int
	err = h.Do(func() error {
		// No protocol yet: nothing is received before the filter is set.
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := prepareSocket(fd, link.Attrs().Index, filter); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	c := &Capture{file: os.NewFile(uintptr(fd), "capture "+iface), more: make(chan struct{})}
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, c.file.Close())
	}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			var frame Frame
			var rerr error
			err := raw.Read(func(fd uintptr) bool {
				frame, rerr = readFrame(int(fd), buf)
				return !errors.Is(rerr, unix.EAGAIN)
			})
			if err := errors.Join(err, rerr); err != nil {
				c.fail(err)
				return
			}
			if take != nil {
				take(frame)
			} else {
				c.add(frame)
			}
		}
	}()
	return c, nil
}

func prepareSocket(fd, index int, filter []bpf.RawInstruction) error {
	program := make([]unix.SockFilter, len(filter))
	for i, f := range filter {
		program[i] = unix.SockFilter{Code: f.Op, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	const bufferBytes = 32 << 20
	err := errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}),
	)
	if err != nil {
		return fmt.Errorf("prepare socket: %w", err)
	}
	// Only a socket for all protocols receives the host's own frames.
	var all [2]byte
	binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:]), Ifindex: index}); err != nil {
		return fmt.Errorf("bind to interface: %w", err)
	}
	return nil
}

func readFrame(fd int, buf []byte) (Frame, error) {
	oob := make([]byte, 128)
	n, oobn, _, from, err := unix.Recvmsg(fd, buf, oob, 0)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Time: time.Now(), Data: slices.Clone(buf[:n])}
	if ll, ok := from.(*unix.SockaddrLinklayer); ok {
		f.Outgoing = ll.Pkttype == unix.PACKET_OUTGOING
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return Frame{}, fmt.Errorf("parse control message: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			f.Time = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return f, nil
}

func (c *Capture) add(f Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, f)
	close(c.more)
	c.more = make(chan struct{})
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	close(c.more)
	c.more = make(chan struct{})
}

// Next waits for the next frame that it has not yet returned.
func (c *Capture) Next(ctx context.Context) (Frame, error) {
	for {
		c.mu.Lock()
		more, err := c.more, c.err
		if c.next < len(c.frames) {
			f := c.frames[c.next]
			c.next++
			c.mu.Unlock()
			return f, nil
		}
		c.mu.Unlock()
		if err != nil {
			return Frame{}, fmt.Errorf("capture: %w", err)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return Frame{}, fmt.Errorf("capture: wait for a frame: %w", context.Cause(ctx))
		}
	}
}

// Frames returns all frames so far.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

// Missed returns the number of frames that the kernel dropped since the last call.
func (c *Capture) Missed() (int, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("capture: count what was missed: %w", err)
	}
	var stats *unix.TpacketStats
	var serr error
	err = raw.Control(func(fd uintptr) {
		stats, serr = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err := errors.Join(err, serr); err != nil {
		return 0, fmt.Errorf("capture: count what was missed: %w", err)
	}
	return int(stats.Drops), nil
}

// Stop ends the capture. Its frames are kept.
func (c *Capture) Stop() error {
	if err := c.file.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("stop capture: %w", err)
	}
	return nil
}
