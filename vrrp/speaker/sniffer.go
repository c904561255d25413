package speaker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// frame describes a received frame.
type frame struct {
	index  int              // of the interface
	mac    net.HardwareAddr // of the sender
	toHost bool             // to this host's MAC address, not to several hosts
}

// sniffer is a packet socket for one protocol on all interfaces. It does not receive packets sent by this host.
type sniffer struct {
	file   *os.File
	filter []bpf.Instruction
	proto  uint16
	read   func(from frame, b []byte)
}

func openSniffer(protocol uint16, filter []bpf.Instruction, read func(frame, []byte)) (*sniffer, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	s := &sniffer{file: os.NewFile(uintptr(fd), "packet socket"), filter: filter, proto: protocol, read: read}
	if err := errors.Join(
		attachFilter(fd, refuseAll),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, sniffBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, protocol))}),
	); err != nil {
		s.file.Close()
		return nil, fmt.Errorf("prepare packet socket: %w", err)
	}
	return s, nil
}

// listen enables or disables reception.
func (s *sniffer) listen(on bool) error {
	filter := refuseAll
	if on {
		filter = s.filter
	}
	return s.control(func(fd int) error { return attachFilter(fd, filter) })
}

func (s *sniffer) send(index int, to net.HardwareAddr, b []byte) error {
	address := unix.SockaddrLinklayer{
		Protocol: binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, s.proto)), Ifindex: index, Halen: uint8(len(to)),
	}
	copy(address.Addr[:], to)
	return s.control(func(fd int) error { return unix.Sendto(fd, b, unix.MSG_DONTWAIT, &address) })
}

func (s *sniffer) control(f func(fd int) error) error {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	return errors.Join(conn.Control(func(fd uintptr) { inner = f(int(fd)) }), inner)
}

// run reads until the socket is closed.
func (s *sniffer) run() {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return
	}
	r := newReceiver()
	for {
		n := 0
		err := conn.Read(func(fd uintptr) bool {
			var err error
			n, err = r.read(int(fd))
			return !errors.Is(err, unix.EAGAIN)
		})
		if err != nil {
			return
		}
		for i := range n {
			from := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&r.names[i]))
			s.read(frame{
				index: int(from.Ifindex), mac: net.HardwareAddr(from.Addr[:min(int(from.Halen), len(from.Addr))]),
				toHost: from.Pkttype == unix.PACKET_HOST,
			}, r.data[i][:r.msgs[i].len])
		}
		time.Sleep(sniffPauseAfter(n))
	}
}

// sniffPauseAfter returns how long to pause after a batch of packets.
func sniffPauseAfter(packets int) time.Duration {
	if packets == batchLen {
		return sniffBusy
	}
	return sniffPause
}
