package ipvsnl

import (
	"context"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
)

// A batch is split into pieces of limited requests and bytes: the errors of a whole piece must fit into the socket's
// receive buffer (208 KiB by default, about 1 KiB for each), because the kernel drops the rest.
const (
	pieceRequests = 128
	pieceBytes    = 64 << 10
)

// ErrUnknownOutcome means that a request was sent but its result is unknown.
var ErrUnknownOutcome = errors.New("outcome unknown")

// Batch sends requests in order, many in one system call, and returns one error or nil for each. It continues after a
// refused request. The kernel is asked to answer only refused requests and the last one of a piece, which saves a system
// call for each of the others.
func (c *Conn) Batch(ctx context.Context, requests []Request) []error {
	errs := make([]error, 0, len(requests))
	for len(requests) > 0 {
		n := pieceLength(requests)
		piece, err := c.piece(ctx, requests[:n])
		errs = append(errs, piece...)
		requests = requests[n:]
		if err != nil {
			for range requests {
				errs = append(errs, err)
			}
			return errs
		}
	}
	return errs
}

// pieceLength returns the number of requests for one system call: at least one.
func pieceLength(requests []Request) int {
	bytes := 0
	for i, r := range requests {
		bytes += len(r.Attributes) + 32 // both headers, and a margin
		if i > 0 && (i == pieceRequests || bytes > pieceBytes) {
			return i
		}
	}
	return len(requests)
}

// piece sends requests in one system call. It returns an error for each request, and one for the whole exchange if the
// result of some is unknown.
func (c *Conn) piece(ctx context.Context, requests []Request) ([]error, error) {
	var refusals []error
	err := c.change(ctx, func(ctx context.Context, s *socket) error {
		var err error
		refusals, err = s.pipeline(ctx, requests)
		return err
	})
	if err == nil {
		return refusals, nil
	}
	errs := make([]error, len(requests))
	for i := range errs {
		errs[i] = fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	return errs, err
}

// pipeline sends requests in one datagram and returns the answer to each.
func (s *socket) pipeline(ctx context.Context, requests []Request) ([]error, error) {
	var datagram []byte
	first := s.sequence + 1
	for i, r := range requests {
		var flags netlink.HeaderFlags
		if i == len(requests)-1 {
			flags = netlink.Acknowledge
		}
		m, err := s.message(s.family, familyVersion, r, flags)
		if err != nil {
			return nil, err
		}
		datagram = append(datagram, m...)
	}
	if err := s.send(ctx, datagram); err != nil {
		return nil, err
	}
	errs := make([]error, len(requests))
	err := s.listen(ctx, len(requests) == 1, func(h netlink.Header, data []byte) (done bool, err error) {
		i := int(h.Sequence - first)
		if i < 0 || i >= len(errs) {
			return false, errForeign
		}
		if h.Type == netlink.Error {
			errs[i] = status(h, data)
		}
		return i == len(errs)-1, nil
	})
	return errs, err
}
