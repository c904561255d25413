package realserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mdlayher/genetlink"
	mdnetlink "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The generic netlink family that decapsulates GUE (include/uapi/linux/fou.h).
const (
	fouFamily  = "fou"
	fouVersion = 1

	fouAdd = 1
	fouDel = 2
	fouGet = 3

	fouPort = 1 // be16
	fouAF   = 2 // u8
	fouType = 4 // u8

	encapGUE = 2
)

// dialFOU opens the family. It returns a nil connection if the fou module is not loaded.
func dialFOU(ctx context.Context) (*genetlink.Conn, genetlink.Family, error) {
	c, err := genetlink.Dial(nil)
	if err != nil {
		return nil, genetlink.Family{}, fmt.Errorf("open generic netlink: %w", err)
	}
	deadline := time.Now().Add(kernelTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return nil, genetlink.Family{}, fmt.Errorf("open generic netlink: %w", err)
	}
	family, err := c.GetFamily(fouFamily)
	if err != nil {
		_ = c.Close()
		if errors.Is(err, os.ErrNotExist) {
			return nil, genetlink.Family{}, nil
		}
		return nil, genetlink.Family{}, fmt.Errorf("look up the generic netlink family fou: %w", err)
	}
	return c, family, nil
}

// fouPorts lists the ports where GUE is decapsulated: nil if the fou module is not loaded.
func fouPorts(ctx context.Context) ([]FOU, error) {
	c, family, err := dialFOU(ctx)
	if c == nil || err != nil {
		return nil, err
	}
	defer c.Close()
	messages, err := c.Execute(genetlink.Message{Header: genetlink.Header{Command: fouGet, Version: fouVersion}},
		family.ID, mdnetlink.Request|mdnetlink.Dump)
	if err != nil {
		return nil, fmt.Errorf("list GUE ports: %w", err)
	}
	ports := []FOU{}
	for _, m := range messages {
		port, kind, err := decodeFOU(m.Data)
		if err != nil {
			return nil, fmt.Errorf("list GUE ports: %w", err)
		}
		if kind == encapGUE {
			ports = append(ports, port)
		}
	}
	return ports, nil
}

func decodeFOU(data []byte) (port FOU, kind uint8, err error) {
	d, err := mdnetlink.NewAttributeDecoder(data)
	if err != nil {
		return FOU{}, 0, err
	}
	for d.Next() {
		switch d.Type() {
		case fouPort:
			if b := d.Bytes(); len(b) == 2 {
				port.Port = uint16(b[0])<<8 | uint16(b[1])
			}
		case fouAF:
			port.IPv6 = d.Uint8() == unix.AF_INET6
		case fouType:
			kind = d.Uint8()
		}
	}
	return port, kind, d.Err()
}

func changeFOU(ctx context.Context, s Step) error {
	c, family, err := dialFOU(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		return errors.New("the kernel's GUE is missing: modprobe fou")
	}
	defer c.Close()
	command, harmless := uint8(fouAdd), unix.EALREADY
	if s.Action == RemoveFOU {
		command, harmless = fouDel, unix.ENOENT
	}
	e := mdnetlink.NewAttributeEncoder()
	e.Bytes(fouPort, []byte{byte(s.Port >> 8), byte(s.Port)})
	af := uint8(unix.AF_INET)
	if s.IPv6 {
		af = unix.AF_INET6
	}
	e.Uint8(fouAF, af)
	if command == fouAdd {
		e.Uint8(fouType, encapGUE)
	}
	data, err := e.Encode()
	if err != nil {
		return err
	}
	_, err = c.Execute(genetlink.Message{Header: genetlink.Header{Command: command, Version: fouVersion}, Data: data},
		family.ID, mdnetlink.Request|mdnetlink.Acknowledge)
	return ignore(err, harmless)
}
