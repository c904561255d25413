package speaker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxBatch is the maximum number of requests in one write. Each reply takes up to a kilobyte of the receive buffer.
const maxBatch = 512

// batcher sends several route netlink requests with one system call. The kernel carries them out in order, and one that fails
// does not affect the others. It belongs to one goroutine.
type batcher struct {
	fd     int
	buffer []byte // of receive
}

func newBatcher() (*batcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	b := &batcher{fd, make([]byte, 64<<10)}
	timeout := unix.NsecToTimeval(int64(netlinkTimeout))
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1), // since Linux 4.3
	); err != nil {
		b.close()
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	// Explanations of errors are since Linux 4.12. Without the filter of a dump, since 4.20, parseRoute filters.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, netlinkBuffer) // more than the system's limit needs CAP_NET_ADMIN
	}
	return b, nil
}

func (b *batcher) close() { unix.Close(b.fd) }

// run carries out requests and returns the error of each. It retries those with temporary errors a few times.
func (b *batcher) run(requests []*nl.NetlinkRequest) []error {
	return retryEach(len(requests), func(numbers []int) []error { return b.once(pick(requests, numbers)) })
}

// once carries out requests and returns the error of each.
func (b *batcher) once(requests []*nl.NetlinkRequest) []error {
	var errs []error
	for some := range slices.Chunk(requests, maxBatch) {
		errs = append(errs, b.send(some)...)
	}
	return errs
}

func (b *batcher) send(requests []*nl.NetlinkRequest) []error {
	var message []byte
	waiting := map[uint32]int{}
	for i, r := range requests {
		r.Seq, r.Flags = nextSequence(), r.Flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK
		waiting[r.Seq] = i
		message = append(message, r.Serialize()...)
	}
	errs := make([]error, len(requests))
	err := unix.Sendto(b.fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for err == nil && len(waiting) > 0 {
		err = b.receive(func(m *reply) {
			i, ours := waiting[m.Seq]
			if !ours || m.Type != unix.NLMSG_ERROR {
				return // the reply to an earlier request, which was given up
			}
			delete(waiting, m.Seq)
			errs[i] = m.failure()
		})
	}
	for _, i := range waiting {
		errs[i] = err
	}
	return errs
}

func pick(requests []*nl.NetlinkRequest, numbers []int) []*nl.NetlinkRequest {
	out := make([]*nl.NetlinkRequest, len(numbers))
	for n, i := range numbers {
		out[n] = requests[i]
	}
	return out
}

// dump sends a request for a table and calls found with each of its entries.
func (b *batcher) dump(request *nl.NetlinkRequest, found func(data []byte)) error {
	request.Seq, request.Flags = nextSequence(), unix.NLM_F_REQUEST|unix.NLM_F_DUMP
	if err := unix.Sendto(b.fd, request.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var failure error
	for done := false; !done; {
		err := b.receive(func(m *reply) {
			switch {
			case m.Seq != request.Seq:
			case m.Flags&unix.NLM_F_DUMP_INTR != 0:
				failure = unix.EINTR
				done = done || m.Type == unix.NLMSG_DONE
			case m.Type == unix.NLMSG_ERROR, m.Type == unix.NLMSG_DONE:
				failure, done = errors.Join(failure, m.failure()), true
			default:
				found(m.data)
			}
		})
		if err != nil {
			return err
		}
	}
	return failure
}

// reply is a received message; data is valid until the next receive.
type reply struct {
	unix.NlMsghdr
	data []byte
}

// failure returns the error that a reply reports, with the kernel's explanation.
func (m *reply) failure() error {
	if len(m.data) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(m.data))
	if code >= 0 {
		return nil
	}
	errno := unix.Errno(-code)
	const header = 4 + unix.NLMSG_HDRLEN // struct nlmsgerr; NETLINK_CAP_ACK leaves the request out
	if m.Flags&unix.NLM_F_ACK_TLVS == 0 || len(m.data) < header {
		return errno
	}
	for kind, value := range attributes(m.data[header:]) {
		if kind == unix.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w: %s", errno, unix.ByteSliceToString(value))
		}
	}
	return errno
}

// receive reads one datagram and calls each with its messages.
func (b *batcher) receive(each func(m *reply)) error {
	n, _, err := unix.Recvfrom(b.fd, b.buffer, 0)
	if err != nil {
		return fmt.Errorf("read from route netlink: %w", err)
	}
	var m reply // one for all messages: it is allocated
	for rest := b.buffer[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
		m.NlMsghdr = unix.NlMsghdr{
			Len: binary.NativeEndian.Uint32(rest), Type: binary.NativeEndian.Uint16(rest[4:]),
			Flags: binary.NativeEndian.Uint16(rest[6:]), Seq: binary.NativeEndian.Uint32(rest[8:]),
		}
		if m.Len < unix.NLMSG_HDRLEN || int(m.Len) > len(rest) {
			return nil
		}
		m.data = rest[unix.NLMSG_HDRLEN:m.Len]
		each(&m)
		rest = rest[min(int(m.Len+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(rest)):]
	}
	return nil
}

func nextSequence() uint32 { return nl.NewNetlinkRequest(0, 0).Seq }
