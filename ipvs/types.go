package ipvs

import "net/netip"

// Protocol is a transport protocol number (IANA).
type Protocol uint16

// The protocols that IPVS balances.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// Family is an address family (AF_INET, AF_INET6).
type Family uint16

// The families.
const (
	IPv4 Family = 2
	IPv6 Family = 10
)

// ServiceKey identifies a virtual service: protocol, address and port, or family and firewall mark.
type ServiceKey struct {
	Protocol Protocol   `json:"protocol,omitempty"` // 0 with a FirewallMark
	Address  netip.Addr `json:"address,omitzero"`   // zero with a FirewallMark
	Port     uint16     `json:"port,omitempty"`
	Mark     uint32     `json:"mark,omitempty"` // 0: not by mark
	Family   Family     `json:"family"`
}

// ServiceFlags are IP_VS_SVC_F_* (include/uapi/linux/ip_vs.h).
type ServiceFlags uint32

// The service flags.
const (
	FlagPersistent ServiceFlags = 0x01
	FlagHashed     ServiceFlags = 0x02 // set by the kernel; not part of a configuration
	FlagOnePacket  ServiceFlags = 0x04
	FlagSched1     ServiceFlags = 0x08 // sh-fallback, mh-fallback
	FlagSched2     ServiceFlags = 0x10 // sh-port, mh-port
	FlagSched3     ServiceFlags = 0x20
)

// Service is a virtual service's configuration.
type Service struct {
	ServiceKey
	Scheduler          string       `json:"scheduler"`
	Flags              ServiceFlags `json:"flags,omitempty"`
	PersistenceTimeout uint32       `json:"persistence_timeout,omitempty"` // seconds; with FlagPersistent
	Netmask            uint32       `json:"netmask"`                       // persistence granularity: IPv4 a mask in host order (0xffffffff: each client), IPv6 a prefix length 1..128
	PersistenceEngine  string       `json:"persistence_engine,omitempty"`  // "sip"
}

// ForwardMethod is the method of forwarding packets to a real server (IP_VS_CONN_F_*).
type ForwardMethod uint32

// The forwarding methods.
const (
	Masquerade  ForwardMethod = 0 // NAT
	Local       ForwardMethod = 1
	Tunnel      ForwardMethod = 2 // TUN
	DirectRoute ForwardMethod = 3 // DR, "gatewaying"
)

// TunnelType is a tunnel's encapsulation (IP_VS_CONN_F_TUNNEL_TYPE_*).
type TunnelType uint8

// The tunnel types.
const (
	TunnelIPIP TunnelType = 0
	TunnelGUE  TunnelType = 1
	TunnelGRE  TunnelType = 2
)

// TunnelFlags select the checksum of a GUE or GRE tunnel (IP_VS_TUNNEL_ENCAP_FLAG_*).
type TunnelFlags uint16

// The tunnel flags.
const (
	TunnelNoChecksum     TunnelFlags = 0
	TunnelChecksum       TunnelFlags = 1
	TunnelRemoteChecksum TunnelFlags = 2
)

// DestinationKey identifies a real server within a service.
type DestinationKey struct {
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port"`
}

// Destination is a real server's configuration within a service.
type Destination struct {
	DestinationKey
	Forward        ForwardMethod `json:"forward"`
	Weight         uint32        `json:"weight"` // 0: no new connections
	UpperThreshold uint32        `json:"upper_threshold,omitempty"`
	LowerThreshold uint32        `json:"lower_threshold,omitempty"`
	TunnelType     TunnelType    `json:"tunnel_type,omitempty"`
	TunnelPort     uint16        `json:"tunnel_port,omitempty"` // GUE
	TunnelFlags    TunnelFlags   `json:"tunnel_flags,omitempty"`
}

// Entry is a wanted virtual service with its real servers.
type Entry struct {
	Service
	Destinations []Destination
}

// Stats are the kernel's counters and rates (64 bits).
type Stats struct {
	Connections    uint64
	InPackets      uint64
	OutPackets     uint64
	InBytes        uint64
	OutBytes       uint64
	ConnectionRate uint64 // per second, like all rates
	InPacketRate   uint64
	OutPacketRate  uint64
	InByteRate     uint64
	OutByteRate    uint64
}

// DestinationState is a real server as reported by the kernel.
type DestinationState struct {
	Destination
	Active     uint32
	Inactive   uint32
	Persistent uint32
	Stats      Stats
}

// ServiceState is a virtual service as reported by the kernel.
type ServiceState struct {
	Service
	Stats        Stats
	Destinations []DestinationState
}

// Timeouts are the kernel's connection timeouts in seconds; 0 leaves one unchanged.
type Timeouts struct {
	TCP    uint32 `json:"tcp"`
	TCPFin uint32 `json:"tcp_fin"`
	UDP    uint32 `json:"udp"`
}

// Info is the kernel's IPVS version and connection table size.
type Info struct {
	Version   uint32 // 0x010201: 1.2.1
	TableSize uint32
}
