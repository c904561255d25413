package connsync

import "net/netip"

// Role is a sync daemon's role (IP_VS_STATE_*).
type Role uint32

// The roles.
const (
	Master Role = 1
	Backup Role = 2
)

// Daemon is a sync daemon's configuration.
type Daemon struct {
	Interface string     `json:"interface"`
	SyncID    uint32     `json:"sync_id"`          // 0..255
	MaxLen    uint16     `json:"maxlen,omitempty"` // bytes of a message; 0: the kernel's default
	Group     netip.Addr `json:"group,omitzero"`   // multicast; unset: 224.0.0.81
	Port      uint16     `json:"port,omitempty"`   // UDP; 0: 8848
	TTL       uint8      `json:"ttl,omitempty"`    // 0: 1
}

// Running is a running daemon.
type Running struct {
	Role   Role
	Daemon Daemon
}
