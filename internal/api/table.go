package api

import (
	"net/netip"

	"github.com/lvs-ha/lvs-ha/ipvs"
)

// ServiceKey identifies a virtual service: protocol, address and port, or family and firewall mark.
type ServiceKey struct {
	Protocol ipvs.Protocol `json:"protocol,omitempty"`
	Address  netip.Addr    `json:"address,omitzero"`
	Port     uint16        `json:"port,omitempty"`
	Mark     uint32        `json:"mark,omitempty"` // 0 if not by mark
	Family   ipvs.Family   `json:"family"`
}

func (k ServiceKey) String() string { return ipvs.ServiceKey(k).String() }

// ServiceSettings are the settings of a virtual service in the kernel's table.
type ServiceSettings struct {
	ServiceKey
	Scheduler          string            `json:"scheduler"`
	Flags              ipvs.ServiceFlags `json:"flags,omitempty"`
	PersistenceTimeout Duration          `json:"persistence_timeout,omitempty"`
	PersistenceNetmask string            `json:"persistence_netmask,omitempty"` // "255.255.255.0", or a prefix length for IPv6: "64"; empty means each client
	PersistenceEngine  string            `json:"persistence_engine,omitempty"`
}

// ServerKey identifies a real server within a service.
type ServerKey struct {
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port"`
}

func (k ServerKey) String() string { return ipvs.DestinationKey(k).String() }

// ServerSettings are the settings of a real server in the kernel's table.
type ServerSettings struct {
	ServerKey
	Forward        ipvs.ForwardMethod `json:"forward"`
	Weight         uint32             `json:"weight"` // 0: no new connections
	UpperThreshold uint32             `json:"upper_threshold,omitempty"`
	LowerThreshold uint32             `json:"lower_threshold,omitempty"`
	TunnelType     ipvs.TunnelType    `json:"tunnel_type,omitempty"`
	TunnelPort     uint16             `json:"tunnel_port,omitempty"` // GUE
	TunnelChecksum ipvs.TunnelFlags   `json:"tunnel_checksum,omitempty"`
}
