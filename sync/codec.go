package connsync

import (
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"

	"github.com/lvs-ha/lvs-ha/internal/ipvsnl"
)

// The attributes of a daemon (include/uapi/linux/ip_vs.h, IPVS_DAEMON_ATTR_*).
const (
	daemonState     uint16 = 1 // u32
	daemonInterface uint16 = 2 // string
	daemonSyncID    uint16 = 3 // u32
	daemonMaxLen    uint16 = 4 // u16
	daemonGroup     uint16 = 5 // be32
	daemonGroup6    uint16 = 6 // 16 bytes
	daemonPort      uint16 = 7 // u16, host order
	daemonTTL       uint16 = 8 // u8
)

// encodeStart returns the attributes of a command that starts a daemon.
func encodeStart(role Role, d Daemon) ([]byte, error) {
	return encode(func(ae *netlink.AttributeEncoder) {
		ae.Uint32(daemonState, uint32(role))
		ae.String(daemonInterface, d.Interface)
		ae.Uint32(daemonSyncID, d.SyncID)
		if d.MaxLen != 0 {
			ae.Uint16(daemonMaxLen, d.MaxLen)
		}
		switch group := d.Group.Unmap(); {
		case group.Is4():
			ae.Bytes(daemonGroup, group.AsSlice())
		case group.Is6():
			ae.Bytes(daemonGroup6, group.AsSlice())
		}
		if d.Port != 0 {
			ae.Uint16(daemonPort, d.Port)
		}
		if d.TTL != 0 {
			ae.Uint8(daemonTTL, d.TTL)
		}
	})
}

// encodeStop returns the attributes of a command that stops a daemon.
func encodeStop(role Role) ([]byte, error) {
	return encode(func(ae *netlink.AttributeEncoder) { ae.Uint32(daemonState, uint32(role)) })
}

func encode(daemon func(*netlink.AttributeEncoder)) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Nested(ipvsnl.AttrDaemon, func(ae *netlink.AttributeEncoder) error { daemon(ae); return nil })
	return ae.Encode()
}

// decode reads one entry of the list of running daemons.
func decode(b []byte) (Running, error) {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return Running{}, fmt.Errorf("decoding a sync daemon: %w", err)
	}
	var r Running
	for ad.Next() {
		if ad.Type() == ipvsnl.AttrDaemon {
			ad.Nested(r.decode)
		}
	}
	if err := ad.Err(); err != nil {
		return Running{}, fmt.Errorf("decoding a sync daemon: %w", err)
	}
	if r.Role != Master && r.Role != Backup {
		return Running{}, fmt.Errorf("decoding a sync daemon: unknown role %d", r.Role)
	}
	return r, nil
}

func (r *Running) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case daemonState:
			r.Role = Role(ad.Uint32())
		case daemonInterface:
			r.Daemon.Interface = ad.String()
		case daemonSyncID:
			r.Daemon.SyncID = ad.Uint32()
		case daemonMaxLen:
			r.Daemon.MaxLen = ad.Uint16()
		case daemonGroup, daemonGroup6:
			ad.Do(func(b []byte) error {
				group, ok := netip.AddrFromSlice(b)
				if !ok {
					return fmt.Errorf("group of %d bytes", len(b))
				}
				r.Daemon.Group = group
				return nil
			})
		case daemonPort:
			r.Daemon.Port = ad.Uint16()
		case daemonTTL:
			r.Daemon.TTL = ad.Uint8()
		}
	}
	return nil
}
