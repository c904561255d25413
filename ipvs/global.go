package ipvs

import (
	"context"
	"fmt"
	"syscall"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// Flush deletes all virtual services, including foreign ones.
func (c *Client) Flush(ctx context.Context) error {
	if err := c.conn.Do(ctx, ipvsnl.Request{Command: ipvsnl.CmdFlush}); err != nil {
		return fmt.Errorf("clearing the ipvs table: %w", explain(err, nil))
	}
	return nil
}

// Zero sets the counters of a virtual service and its real servers to zero.
func (c *Client) Zero(ctx context.Context, key ServiceKey) error {
	request, err := keyRequest(ipvsnl.CmdZero, key)
	if err == nil {
		err = c.conn.Do(ctx, request)
	}
	if err != nil {
		return fmt.Errorf("zeroing the counters of service %s: %w", key, explain(err, noService))
	}
	return nil
}

// ZeroAll sets all counters to zero.
func (c *Client) ZeroAll(ctx context.Context) error {
	if err := c.conn.Do(ctx, ipvsnl.Request{Command: ipvsnl.CmdZero}); err != nil {
		return fmt.Errorf("zeroing all ipvs counters: %w", explain(err, nil))
	}
	return nil
}

// Timeouts reads the kernel's connection timeouts.
func (c *Client) Timeouts(ctx context.Context) (Timeouts, error) {
	b, err := c.conn.Get(ctx, ipvsnl.Request{Command: ipvsnl.CmdGetConfig})
	if err != nil {
		return Timeouts{}, fmt.Errorf("reading the IPVS timeouts: %w", explain(err, nil))
	}
	var t Timeouts
	err = decodeNumbers(b, map[uint16]*uint32{
		ipvsnl.AttrTimeoutTCP: &t.TCP, ipvsnl.AttrTimeoutTCPFin: &t.TCPFin, ipvsnl.AttrTimeoutUDP: &t.UDP,
	})
	if err != nil {
		return Timeouts{}, fmt.Errorf("decoding the IPVS timeouts: %w", err)
	}
	return t, nil
}

// SetTimeouts changes the timeouts that are not 0.
func (c *Client) SetTimeouts(ctx context.Context, t Timeouts) error {
	ae := netlink.NewAttributeEncoder()
	for attr, seconds := range map[uint16]uint32{
		ipvsnl.AttrTimeoutTCP: t.TCP, ipvsnl.AttrTimeoutTCPFin: t.TCPFin, ipvsnl.AttrTimeoutUDP: t.UDP,
	} {
		if seconds != 0 {
			ae.Uint32(attr, seconds)
		}
	}
	attributes, err := ae.Encode()
	if err == nil && len(attributes) > 0 {
		err = c.conn.Do(ctx, ipvsnl.Request{Command: ipvsnl.CmdSetConfig, Attributes: attributes})
	}
	if err != nil {
		return fmt.Errorf("setting the IPVS timeouts: %w", explain(err, badTimeout))
	}
	return nil
}

var badTimeout = map[syscall.Errno]string{syscall.EINVAL: "a timeout is longer than the kernel can count"}

// Info reads the kernel's IPVS version and the size of its connection table.
func (c *Client) Info(ctx context.Context) (Info, error) {
	b, err := c.conn.Get(ctx, ipvsnl.Request{Command: ipvsnl.CmdGetInfo})
	if err != nil {
		return Info{}, fmt.Errorf("reading the ipvs version: %w", explain(err, nil))
	}
	var i Info
	if err := decodeNumbers(b, map[uint16]*uint32{infoVersion: &i.Version, infoTableSize: &i.TableSize}); err != nil {
		return Info{}, fmt.Errorf("decoding the ipvs version: %w", err)
	}
	return i, nil
}

// decodeNumbers decodes u32 attributes into the given fields.
func decodeNumbers(b []byte, fields map[uint16]*uint32) error {
	return eachAttribute(b, func(typ uint16, value []byte) error {
		if field, ok := fields[typ]; ok {
			return readNumber(field, value)
		}
		return nil
	})
}
