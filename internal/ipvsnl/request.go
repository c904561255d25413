package ipvsnl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
)

// ErrDumpInterrupted says that the table changed under every attempt to read it whole.
var ErrDumpInterrupted = errors.New("the kernel's table changed while it was read, each time")

// dumpAttempts is how often a dump is begun again that the kernel marks as inconsistent.
const dumpAttempts = 5

// Request is a command with its encoded attributes.
type Request struct {
	Command    uint8
	Attributes []byte
}

func (r Request) message(family uint16, flags netlink.HeaderFlags) (netlink.Message, error) {
	data, err := genetlink.Message{
		Header: genetlink.Header{Command: r.Command, Version: familyVersion},
		Data:   r.Attributes,
	}.MarshalBinary()
	return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(family), Flags: netlink.Request | flags}, Data: data}, err
}

// Do sends a request and waits until the kernel has carried it out.
func (c *Conn) Do(ctx context.Context, r Request) error {
	return c.exchange(ctx, func(s *socket) error {
		_, err := s.execute(r, netlink.Acknowledge)
		return err
	})
}

// Get sends a request and returns the attributes of its answer.
func (c *Conn) Get(ctx context.Context, r Request) ([]byte, error) {
	var answers [][]byte
	err := c.exchange(ctx, func(s *socket) error {
		var err error
		answers, err = s.execute(r, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 {
		return nil, fmt.Errorf("the kernel sent %d answers to ipvs command %d, want 1", len(answers), r.Command)
	}
	return answers[0], nil
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

// listsInExchange is how many lists are read without giving others a turn and the deadline a new start.
const listsInExchange = 64

// Each sends requests for lists, one after the other, and calls each with the number of the request and the attributes
// of each entry as they come in, which are valid only during the call. A list that the kernel marks as inconsistent is begun again, a few times; begin is
// called before every attempt. What they did does not count if there is an error.
func (c *Conn) Each(ctx context.Context, requests []Request, begin func(i int), each func(i int, attributes []byte) error) error {
	for start := 0; start < len(requests); start += listsInExchange {
		lists := requests[start:min(start+listsInExchange, len(requests))]
		err := c.exchange(ctx, func(s *socket) error {
			for i, r := range lists {
				err := s.list(r, func() { begin(start + i) }, func(b []byte) error { return each(start+i, b) })
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
func (s *socket) list(r Request, begin func(), each func([]byte) error) error {
	for range dumpAttempts {
		begin()
		if err := s.dump(r, each); !errors.Is(err, ErrDumpInterrupted) {
			return err
		}
	}
	return ErrDumpInterrupted
}

// dump sends a request for a list and passes its entries on.
func (s *socket) dump(r Request, each func([]byte) error) error {
	m, err := r.message(s.family, netlink.Dump)
	if err != nil {
		return err
	}
	if m, err = s.nl.Send(m); err != nil {
		return err
	}
	interrupted := false
	err = s.receive(m.Header.Sequence, func(h netlink.Header, data []byte) error {
		// An interrupted list is read to its end all the same, so that the socket can be used again.
		if interrupted = interrupted || h.Flags&netlink.DumpInterrupted != 0; interrupted {
			return nil
		}
		if len(data) < genericLength {
			return fmt.Errorf("the kernel's answer to ipvs command %d has %d bytes", r.Command, len(data))
		}
		return each(data[genericLength:])
	})
	if err == nil && interrupted {
		return ErrDumpInterrupted
	}
	return err
}

// execute sends a request and returns the attributes of its answers.
func (s *socket) execute(r Request, flags netlink.HeaderFlags) ([][]byte, error) {
	m, err := r.message(s.family, flags)
	if err != nil {
		return nil, err
	}
	replies, err := s.nl.Execute(m)
	if err != nil {
		return nil, err
	}
	answers := make([][]byte, 0, len(replies))
	for _, reply := range replies {
		if reply.Header.Type != netlink.HeaderType(s.family) {
			continue // an acknowledgement
		}
		var m genetlink.Message
		if err := m.UnmarshalBinary(reply.Data); err != nil {
			return nil, fmt.Errorf("decoding the kernel's answer to ipvs command %d: %w", r.Command, err)
		}
		answers = append(answers, m.Data)
	}
	return answers, nil
}
