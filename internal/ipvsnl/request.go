package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
)

// ErrDumpInterrupted means that the table changed during every attempt to read it.
var ErrDumpInterrupted = errors.New("the kernel's table changed while it was read, each time")

// dumpAttempts limits the attempts to read a dump that the kernel marks as inconsistent.
const dumpAttempts = 5

// Request is a command with its encoded attributes.
type Request struct {
	Command    uint8
	Attributes []byte
}

// Do sends a request and waits until the kernel has processed it.
func (c *Conn) Do(ctx context.Context, r Request) error {
	return c.change(ctx, func(ctx context.Context, s *socket) error {
		return s.ask(ctx, s.family, familyVersion, r, netlink.Acknowledge, func([]byte) error { return nil })
	})
}

// Get sends a request and returns the attributes of its answer.
func (c *Conn) Get(ctx context.Context, r Request) ([]byte, error) {
	var answer []byte
	err := c.read(ctx, func(ctx context.Context, s *socket) error {
		return s.ask(ctx, s.family, familyVersion, r, 0, func(attributes []byte) error {
			answer = slices.Clone(attributes)
			return nil
		})
	})
	return answer, err
}

// Dump sends a request for a list and returns the attributes of each of its entries.
func (c *Conn) Dump(ctx context.Context, r Request) ([][]byte, error) {
	var answers [][]byte
	err := c.Each(ctx, []Request{r}, func(int) { answers = nil }, func(_ int, attributes []byte) error {
		answers = append(answers, slices.Clone(attributes))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// listsInExchange is the number of lists read before other callers get a turn and the deadline is renewed.
const listsInExchange = 64

// Each sends requests for lists, one after the other. It calls each with the index of the request and the attributes of
// each entry as they arrive, which are valid only during the call. A list that the kernel marks as inconsistent is read
// again, a few times; begin is called before every attempt. If an error is returned, the entries must be discarded.
func (c *Conn) Each(ctx context.Context, requests []Request, begin func(i int), each func(i int, attributes []byte) error) error {
	for start := 0; start < len(requests); start += listsInExchange {
		lists := requests[start:min(start+listsInExchange, len(requests))]
		done := 0
		err := c.read(ctx, func(ctx context.Context, s *socket) error {
			for ; done < len(lists); done++ {
				i := start + done
				err := s.list(ctx, lists[done], func() { begin(i) }, func(b []byte) error { return each(i, b) })
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// list reads a list until it is consistent.
func (s *socket) list(ctx context.Context, r Request, begin func(), each func([]byte) error) error {
	for range dumpAttempts {
		begin()
		if err := s.ask(ctx, s.family, familyVersion, r, netlink.Dump, each); !errors.Is(err, ErrDumpInterrupted) {
			return err
		}
	}
	return ErrDumpInterrupted
}

// ask sends a request and passes on the attributes of its answers.
func (s *socket) ask(ctx context.Context, family uint16, version uint8, r Request, flags netlink.HeaderFlags, each func([]byte) error) error {
	m, err := s.message(family, version, r, flags)
	if err != nil {
		return err
	}
	if err := s.send(ctx, m); err != nil {
		return err
	}
	interrupted := false
	err = s.listen(ctx, true, answersTo(s.sequence, flags, func(h netlink.Header, data []byte) error {
		// An interrupted list is still read to its end, so that the socket can be used again.
		if interrupted = interrupted || h.Flags&netlink.DumpInterrupted != 0; interrupted {
			return nil
		}
		if len(data) < genericLength {
			return fmt.Errorf("the kernel's answer to ipvs command %d has %d bytes", r.Command, len(data))
		}
		return each(data[genericLength:])
	}))
	if err == nil && interrupted {
		return ErrDumpInterrupted
	}
	return err
}
